"""What a signing key is in its ring, as operators are told."""

from collections.abc import Sequence
from datetime import UTC, datetime

from keyturn.core.records import SigningKey

_NEVER = datetime.max.replace(tzinfo=UTC)


def state_of(key: SigningKey, ring: Sequence[SigningKey], now: datetime) -> str:
    """Say what a key is: next, scheduled to sign, current, or previous."""
    if key.active_at is None:
        return "next"
    if max(key.active_at, key.signs_from) > now:
        return "scheduled"
    begun = [
        (each.active_at, each.retires_at or _NEVER, each.id)
        for each in ring
        if each.algorithm is key.algorithm and each.active_at is not None and each.active_at <= now
    ]
    # Of two that began in one instant, the one that leaves first has given way.
    return "current" if max(begun)[-1] == key.id else "previous"
