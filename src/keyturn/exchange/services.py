"""Everything an exchange needs from outside, gathered once by ``app.py``."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol

import msgspec

from keyturn.core.clock import Clock
from keyturn.core.clock_watch import ClockWatch
from keyturn.core.forms import Forms
from keyturn.core.histogram import CheckTimes
from keyturn.core.notices import Noticed
from keyturn.core.ports import (
    Digester,
    KeyRings,
    Limits,
    Lockout,
    Passwords,
    Recorder,
    Registry,
    Revocations,
    Sealer,
)
from keyturn.core.profile import TokenProfile
from keyturn.core.records import Organisation
from keyturn.core.secret import Dice, Secret
from keyturn.exchange.company import Company
from keyturn.exchange.known import KnownHolders
from keyturn.exchange.living import KnownTokens
from keyturn.exchange.signing import Signing
from keyturn.exchange.slow import SlowChecks
from keyturn.exchange.status import Places
from keyturn.exchange.terms import KnownTerms
from keyturn.exchange.uses import Uses
from keyturn.tokens.verify import VerifiedClaims


class ClaimsTable(msgspec.Struct, frozen=True):
    """A profile's claims table, compiled.

    Args:
        lasting: Whether it shows the same for each token of one decision.
    """

    render: Callable[[Mapping[str, Any]], dict[str, Any]]
    lasting: bool


class TokenVerifier(Protocol):
    """Proves tokens that this deployment signed (``exchange/verify.py``)."""

    def note(self, token: Secret) -> None:
        """Remember a token that was made here and is handed out."""
        ...

    async def verify(
        self, token: Secret, profiles: tuple[TokenProfile, ...], organisation: Organisation, now: datetime
    ) -> VerifiedClaims | None:
        """Prove a token of one of some profiles, signed for an organisation; None for anything else."""
        ...


class Services(msgspec.Struct, frozen=True, kw_only=True):
    """The ports of one process.

    Args:
        claims: The claims table of every token profile, by its kind.
        naming: Dice for identifiers, which are no secrets; on the event loop only.
        public_url: Where issuers begin; from the configuration, never from a request (HT-03).
        noticed: What others should hear of that no unit carries.
        uses: First uses of a day that no unit carries.
        slow: Checks machines' secrets that are under a slow hash.
        company: Does together what the refresh families of concurrent requests need.
        signing: Signs the tokens of concurrent requests together.
        terms: What clients were granted for the same words before.
        holders: Whose secrets and families were proved to be before.
        living: Tokens that were alive when somebody asked before.
        token_paths: By dialect, the template of its token endpoint's path.
        sealer: Opens the seeds of TOTP devices.
        roles: ``<dialect>:<role>`` -> what it permits.
        places: Gives tokens places in status lists; None where that is off.
        forms: In which form refresh tokens are written.
        clock_watch: Says whether the clock may be trusted (RE-07).
        check_times: How long checks of credentials took.
    """

    clock: Clock
    dice: Dice
    naming: Dice
    registry: Registry
    recorder: Recorder
    digester: Digester
    rings: KeyRings
    limits: Limits
    lockout: Lockout
    passwords: Passwords
    sealer: Sealer
    revocations: Revocations
    own_tokens: TokenVerifier
    claims: Mapping[str, ClaimsTable]
    public_url: str
    clock_watch: ClockWatch
    noticed: Noticed = msgspec.field(default_factory=Noticed)
    uses: Uses = msgspec.field(default_factory=Uses)
    slow: SlowChecks = msgspec.field(default_factory=SlowChecks)
    company: Company = msgspec.field(default_factory=Company)
    signing: Signing = msgspec.field(default_factory=Signing)
    terms: KnownTerms = msgspec.field(default_factory=KnownTerms)
    holders: KnownHolders = msgspec.field(default_factory=KnownHolders)
    living: KnownTokens = msgspec.field(default_factory=KnownTokens)
    token_paths: Mapping[str, str] = {}
    roles: Mapping[str, frozenset[str]] = {}
    places: Places | None = None
    forms: Forms = msgspec.field(default_factory=Forms)
    check_times: CheckTimes = msgspec.field(default_factory=CheckTimes)
