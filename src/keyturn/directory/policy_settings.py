"""What an organisation may demand of its credentials, declared like a dialect's settings.

``keyturn org set acme policy.max_secret_days 180``; ``core/secret_policy.py`` says what each one does.
"""

from typing import Any

import msgspec

from keyturn.core.secret_policy import LEAK_RULES, ON_LEAK
from keyturn.directory.secrets import GRACE_DAYS, OVERLAP_HOURS, SECRET_DAYS

_MOST_DAYS = 36_500


class PolicySetting(msgspec.Struct, frozen=True, kw_only=True):
    """One setting of every organisation (``SettingTable``)."""

    name: str
    kind: str
    help: str
    scope: str = "organisation"
    default: Any = None
    minimum: int | None = None
    maximum: int | None = None
    choices: tuple[str, ...] = ()


POLICY_SETTINGS = (
    PolicySetting(
        name="max_secret_days",
        kind="int",
        minimum=1,
        maximum=_MOST_DAYS,
        help="No client secret is accepted longer than that after it was made.",
    ),
    PolicySetting(
        name="dormant_after_days",
        kind="int",
        minimum=1,
        maximum=_MOST_DAYS,
        help="A credential not used for so long is refused until it is enabled again.",
    ),
    PolicySetting(
        name="secrets_made_before",
        kind="date",
        help="Client secrets made before that day are refused.",
    ),
    PolicySetting(
        name=SECRET_DAYS.name,
        kind="int",
        default=SECRET_DAYS.default,
        minimum=1,
        maximum=_MOST_DAYS,
        help="So many days an entity's secret lives: the most that may be asked, and what is given unasked.",
    ),
    PolicySetting(
        name=GRACE_DAYS.name,
        kind="int",
        default=GRACE_DAYS.default,
        minimum=0,
        maximum=90,
        help="So many days after its end an entity's secret is still accepted, with a warning.",
    ),
    PolicySetting(
        name=OVERLAP_HOURS.name,
        kind="int",
        default=OVERLAP_HOURS.default,
        minimum=0,
        maximum=90 * 24,
        help="So many hours an entity's old secret stays good after a reset.",
    ),
    PolicySetting(
        name=ON_LEAK,
        kind="str",
        default=LEAK_RULES[0],
        choices=LEAK_RULES,
        help="What becomes of a secret that a leak report names: it ends, is disabled, or is only told of.",
    ),
)
