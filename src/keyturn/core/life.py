"""The life that every credential shares, as a pure state machine.

    pending ──activate──> active ──rotate──> overlapping(until) ──> ended
       │                    ^ └──────────────────┘ cancel  │           ^
       └────────────────────┴──────────────end─────────────┴───────────┘

``disabled`` is a reversible mark beside the state. Expiry is a question asked at each use and never a
state, so it does not wait for a cleaning job (TK-09). Source: design.md section 3.
"""

from datetime import datetime
from enum import StrEnum

import msgspec


class State(StrEnum):
    """Where a credential is in its life."""

    PENDING = "pending"
    ACTIVE = "active"
    OVERLAPPING = "overlapping"
    ENDED = "ended"


class Standing(StrEnum):
    """What a credential's life says at one instant."""

    GOOD = "good"
    GRACE = "grace"
    """Expired, and accepted a little longer, with a warning."""
    PENDING = "pending"
    DISABLED = "disabled"
    EXPIRED = "expired"
    DORMANT = "dormant"
    """Not used for longer than the organisation's policy allows; ``core/secret_policy.py`` says so."""
    ENDED = "ended"


class Life(msgspec.Struct, frozen=True, kw_only=True):
    """One credential's state and its limits in time.

    Args:
        state: The state that was last written.
        disabled: The reversible mark.
        created_at: When it was made.
        expires_at: From then on it is refused; None never.
        grace_until: Until then it is accepted although it has expired; None for no such grace.
        overlap_until: While ``overlapping``: from then on it counts as ended.
        ended_at: When it ended, if it did.
        ended_why: The operator's or the machine's word for why.
    """

    created_at: datetime
    state: State = State.ACTIVE
    disabled: bool = False
    expires_at: datetime | None = None
    grace_until: datetime | None = None
    overlap_until: datetime | None = None
    ended_at: datetime | None = None
    ended_why: str | None = None

    def standing(self, now: datetime) -> Standing:
        """Say what may be done with the credential at ``now``: the strongest objection wins."""
        if self.state is State.ENDED or (self.overlap_until is not None and now >= self.overlap_until):
            return Standing.ENDED
        if self.disabled:
            return Standing.DISABLED
        if self.state is State.PENDING:
            return Standing.PENDING
        if self.expires_at is not None and now >= self.expires_at:
            in_grace = self.grace_until is not None and now < self.grace_until
            return Standing.GRACE if in_grace else Standing.EXPIRED
        return Standing.GOOD

    def ended(self, now: datetime, why: str) -> "Life":
        """End it, now and for good; ending twice keeps the first."""
        if self.state is State.ENDED:
            return self
        return msgspec.structs.replace(self, state=State.ENDED, ended_at=now, ended_why=why)

    def superseded(self, now: datetime, until: datetime) -> "Life":
        """Leave it usable until a successor has taken over; at once ended where ``until`` has come.

        What has ended already, by the passing of an earlier overlap too, stays so.
        """
        if self.standing(now) is Standing.ENDED:
            return self
        if self.overlap_until is not None:
            until = min(until, self.overlap_until)  # a later successor never prolongs an overlap
        if until <= now:
            return self.ended(now, "rotated")
        return msgspec.structs.replace(self, state=State.OVERLAPPING, overlap_until=until)

    def resumed(self, now: datetime) -> "Life":
        """Take it back into use, as if no successor had been made; too late where the overlap has passed."""
        if self.state is not State.OVERLAPPING or self.standing(now) is Standing.ENDED:
            return self
        return msgspec.structs.replace(self, state=State.ACTIVE, overlap_until=None)
