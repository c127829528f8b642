"""Values against what a dialect's table declares."""

import pytest

from keyturn.core.errors import OperatorError
from keyturn.directory.dialect_settings import check_value, find_setting
from keyturn.wire.tables import Scope, Setting

LIFETIME = Setting(
    name="lifetime_seconds",
    kind="int",
    default=600,
    scope=Scope.ORGANISATION,
    help="-",
    minimum=10,
    maximum=86_400,
)
STRICT = Setting(name="strict", kind="bool", default=False, scope=Scope.DEPLOYMENT, help="-")
COLOUR = Setting(
    name="colour", kind="str", default="red", scope=Scope.DEPLOYMENT, help="-", choices=("red", "blue")
)
TABLES = {"oauth2": (LIFETIME, STRICT), "tiny": (COLOUR,)}


@pytest.mark.parametrize(
    ("setting", "given", "kept"),
    [
        (LIFETIME, "900", 900),
        (LIFETIME, 10, 10),
        (STRICT, "true", True),
        (STRICT, False, False),
        (COLOUR, "blue", "blue"),
    ],
)
def test_values(setting, given, kept):
    """A value is accepted as itself and as text."""
    assert check_value(setting, given) == kept


@pytest.mark.parametrize(
    ("setting", "given"),
    [
        (LIFETIME, "9"),
        (LIFETIME, 86_401),
        (LIFETIME, "1e3"),
        (LIFETIME, "٩٠٠"),
        (LIFETIME, "9" * 5_000),
        (LIFETIME, True),
        (LIFETIME, 60.0),
        (STRICT, "yes"),
        (STRICT, 1),
        (COLOUR, "green"),
        (COLOUR, "re\nd"),
        (COLOUR, 3),
    ],
)
def test_bad_values(setting, given):
    """A value of another kind, out of range or not among the choices is refused."""
    with pytest.raises(OperatorError, match=setting.name):
        check_value(setting, given)


def test_a_setting_is_found_by_its_scope():
    """What the deployment sets is no organisation's to set."""
    assert find_setting(TABLES, "oauth2", "lifetime_seconds", "organisation") is LIFETIME
    with pytest.raises(OperatorError, match=r"there is oauth2\.lifetime_seconds"):
        find_setting(TABLES, "oauth2", "strict", "organisation")
    with pytest.raises(OperatorError, match=r"no organisation setting nope\.x"):
        find_setting(TABLES, "nope", "x", "organisation")
