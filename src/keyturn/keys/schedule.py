"""When a ring's keys sign: pure functions of its records and an instant, the same on every node.

Nothing is switched over. A key signs at ``now`` because its ``active_at`` has come, so nodes that never talk
agree on the signer, and a node that wakes late is not behind. Source: design.md section 2; TK-14; OpenID
Connect Core section 10.1.1.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from keyturn.core.changes import Add, Change, ReplaceKey
from keyturn.core.errors import Fault
from keyturn.core.records import SigningKey
from keyturn.core.vocabulary import Algorithm, KeyId

PUBLISH_MARGIN = timedelta(seconds=10)
"""On top of the key set's cache time: another node's memory that is a second old, a slow answer."""
RETIRE_MARGIN = timedelta(seconds=60)
"""On top of the longest lifetime: what a verifier with a slow clock still accepts."""
CLOCK_SKEW = timedelta(seconds=5)
"""How far behind a ring's maker another node's clock, or a request that was on its way, may be."""

FOREVER = datetime.max.replace(tzinfo=UTC)
_EVER = datetime.min.replace(tzinfo=UTC)


class Turn(msgspec.Struct, frozen=True):
    """The key that signs from ``starts_at`` until just before ``ends_at``."""

    key: SigningKey
    starts_at: datetime
    ends_at: datetime


class Rotated(msgspec.Struct, frozen=True, kw_only=True):
    """A rotation that is recorded.

    Args:
        active_at: When ``signing_key_id`` takes over; now, or the earliest instant it may (TK-14).
        retires_at: Until then ``retiring_key_id`` stays published.
        next_key_id: The one made by this rotation; published from now on.
    """

    active_at: datetime
    retires_at: datetime
    signing_key_id: KeyId
    retiring_key_id: KeyId
    next_key_id: KeyId


class NotRotated(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing was changed, because another rotation is under way or was faster.

    Args:
        active_at: When that one takes, or took, effect.
        lost_race: True where it was recorded while this one was being prepared.
    """

    active_at: datetime
    lost_race: bool = False


class Withdrawn(msgspec.Struct, frozen=True, kw_only=True):
    """A withdrawal that is recorded: the key is published no more and signs no more.

    Args:
        was: What the key was: current, next, scheduled to sign, or previous.
        signs_from: When the ring signs again, where the withdrawn key was the one that signed.
    """

    key: SigningKey
    was: str
    signs_from: datetime | None = None


def turn_at(ring: Sequence[SigningKey], now: datetime) -> Turn | None:
    """Find who signs at ``now``: of the keys whose time has come, the one whose time came last.

    Args:
        ring: The keys of one issuer and one algorithm.
        now: An aware instant.
    """
    begun = [(key.active_at, key) for key in ring if key.active_at is not None and key.active_at <= now]
    if not begun:
        return _founders_turn(ring, now)
    # A ring that is rotated in the instant of its making has two keys with one `active_at`; the one that
    # leaves first has given way.
    _, key = max(begun, key=lambda each: (each[0], each[1].retires_at or FOREVER))
    start, later = _starts_at(key), [begin for each in ring if (begin := _starts_at(each)) > now]
    ends_at = min([*later, key.retires_at or FOREVER])
    # Between a key that was withdrawn and one that verifiers cannot know yet, it is nobody's turn: the keys
    # before were told to retire for the tokens that they had signed, and not for more.
    return Turn(key, start, ends_at) if start <= now < ends_at else None


def _founders_turn(ring: Sequence[SigningKey], now: datetime) -> Turn | None:
    """Let a ring's very first key sign although its maker's clock was ahead of ours.

    No key set without it was ever served, so whoever can read it may sign with it. Without this, of several
    requests that need a new ring at once, those with the earlier ``now`` would be turned away, and a ring
    made while the clock was wrong would be of no use until that time has come. Whether a clock that is behind
    may issue at all is not asked here, but by ``core.clock_watch``.
    """
    for key in ring:
        if key.active_at is not None and key.active_at == key.signs_from == key.published_at:
            return Turn(key, now - CLOCK_SKEW, key.active_at)
    return None


def _starts_at(key: SigningKey) -> datetime:
    """Never before ``signs_from``, whatever a row says: a key unknown to verifiers must not sign."""
    return max(key.active_at or FOREVER, key.signs_from)


def is_published(key: SigningKey, now: datetime) -> bool:
    """Tell whether a key set shows the key: from its making until its last token has expired."""
    return key.retires_at is None or (now < key.retires_at and not is_withdrawn(key))


class Shown(msgspec.Struct, frozen=True):
    """The keys that a key set shows from ``starts_at`` until just before ``ends_at``."""

    keys: tuple[SigningKey, ...]
    starts_at: datetime
    ends_at: datetime


def shown_at(keys: Sequence[SigningKey], now: datetime) -> Shown:
    """Give what a key set shows at ``now``, and for how long: until a key leaves, since one that left."""
    leave = [key.retires_at for key in keys if key.retires_at is not None and not is_withdrawn(key)]
    return Shown(
        tuple(key for key in keys if is_published(key, now)),
        max((at for at in leave if at <= now), default=_EVER),
        min((at for at in leave if at > now), default=FOREVER),
    )


def is_withdrawn(key: SigningKey) -> bool:
    """Tell of a key that was good at no time: so it is for a node whose clock is behind, too."""
    return key.retires_at is not None and key.retires_at <= key.published_at


def pending_at(ring: Sequence[SigningKey], now: datetime) -> datetime | None:
    """Tell when a rotation that is recorded but has not happened will happen."""
    later = [start for key in ring if key.active_at is not None and (start := _starts_at(key)) > now]
    return min(later, default=None)


def next_key_signs_from(now: datetime, jwks_cache: timedelta) -> datetime:
    """Tell when every key set that was served before ``now`` is out of every cache."""
    return now + jwks_cache + PUBLISH_MARGIN


def plan_rotation(
    ring: Sequence[SigningKey], fresh: SigningKey, now: datetime, longest_lifetime: timedelta
) -> tuple[tuple[Change, ...], Rotated]:
    """Say what a rotation writes; the caller has made sure that none is pending.

    Args:
        ring: The keys of one issuer and one algorithm.
        fresh: The new next key.
        now: An aware instant.
        longest_lifetime: Of any token that the current key may have signed by the time it gives way.

    Raises:
        Fault: The ring has no current or no next key: a row is missing.
    """
    turn = turn_at(ring, now)
    if turn is None:
        raise Fault(f"the {fresh.algorithm} ring of {fresh.issuer_id} lacks its current key")
    successor = _next_key(ring, now)
    active_at = max(now, successor.signs_from)
    retires_at = active_at + longest_lifetime + RETIRE_MARGIN
    changes = (
        ReplaceKey(record=msgspec.structs.replace(turn.key, retires_at=retires_at), was=turn.key),
        ReplaceKey(record=msgspec.structs.replace(successor, active_at=active_at), was=successor),
        Add(fresh),
    )
    return changes, Rotated(
        active_at=active_at,
        retires_at=retires_at,
        signing_key_id=successor.id,
        retiring_key_id=turn.key.id,
        next_key_id=fresh.id,
    )


def plan_withdrawal(
    ring: Sequence[SigningKey], key: SigningKey, fresh: SigningKey, now: datetime, longest_lifetime: timedelta
) -> tuple[tuple[Change, ...], Withdrawn]:
    """Say what it takes to withdraw a key at once; the others go on, and one of them signs as soon as it may.

    Where the current key goes and the next one is not in every cached key set yet, nobody signs until it is:
    a token that no verifier knows the key of would be no better than none (TK-14).

    Args:
        ring: The keys of one issuer and one algorithm.
        key: One of them.
        fresh: Takes the place of the next key, where that is withdrawn or begins to sign.
        now: An aware instant.
        longest_lifetime: Of any token that the current key may have signed by the time it gives way.

    Raises:
        Fault: The ring has no next key: a row is missing.
    """
    rest = [each for each in ring if each.id != key.id]
    turn, starts_at = turn_at(ring, now), pending_at(rest, now)
    was = _standing(key, turn, now)
    # Good at no time, so that a node whose clock is behind ours takes it for gone, too.
    gone = msgspec.structs.replace(
        key, retires_at=key.published_at, active_at=None if was == "scheduled" else key.active_at
    )
    changes: list[Change] = [ReplaceKey(gone, key)]
    if was == "next":
        changes.append(Add(fresh))
    elif was == "current" or (was == "scheduled" and turn is None):
        waiting = [each for each in rest if each.active_at is not None and _starts_at(each) > now]
        successor = waiting[0] if waiting else _next_key(rest, now)
        # Its turn begins where the withdrawn one's ends, so that no earlier key signs until it may.
        active_at = max(now - CLOCK_SKEW, key.active_at or now)
        begun = msgspec.structs.replace(successor, active_at=active_at)
        changes += [ReplaceKey(begun, successor), *([] if waiting else [Add(fresh)])]
        starts_at = _starts_at(begun)
    elif was == "scheduled" and turn is not None:
        resumed, rotated = plan_rotation(rest, fresh, now, longest_lifetime)
        changes += resumed
        starts_at = rotated.active_at
    nobody_signs = turn is None or was == "current"
    return tuple(changes), Withdrawn(key=key, was=was, signs_from=starts_at if nobody_signs else None)


def _standing(key: SigningKey, turn: Turn | None, now: datetime) -> str:
    if key.active_at is None:
        return "next"
    if _starts_at(key) > now:
        return "scheduled"
    return "current" if turn is not None and turn.key.id == key.id else "previous"


def _next_key(ring: Sequence[SigningKey], now: datetime) -> SigningKey:
    """Find the key that is published and has not been told when to sign.

    Raises:
        Fault: There is none: a row is missing.
    """
    waiting = [key for key in ring if key.active_at is None and is_published(key, now)]
    if not waiting:
        raise Fault("a ring lacks its next key")
    return waiting[0]


def is_due(ring: Sequence[SigningKey], now: datetime, rotate_after: timedelta) -> bool:
    """Tell whether the key that signs at ``now`` has signed for so long that the ring should turn."""
    turn = turn_at(ring, now)
    return turn is not None and now >= turn.starts_at + rotate_after


def unsafe_until(ring: Sequence[SigningKey], now: datetime, lifetime: timedelta) -> datetime | None:
    """Tell until when a token of some lifetime could outlive the key that signs it (TK-14).

    A key that gives way was told when to retire by the longest lifetime of that moment. Whoever allows longer
    ones while it still signs has to wait until its turn is over.
    """
    turn = turn_at(ring, now)
    if turn is None or turn.key.retires_at is None or turn.ends_at + lifetime <= turn.key.retires_at:
        return None
    return turn.ends_at


def of_algorithm(keys: Sequence[SigningKey], algorithm: Algorithm) -> tuple[SigningKey, ...]:
    """Narrow an issuer's keys to one ring."""
    return tuple(key for key in keys if key.algorithm is algorithm)
