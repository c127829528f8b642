"""Refresh families: what presenting a token of one means, and what becomes of it. Pure.

A family is born with one refresh token (generation 0) and every rotation replaces it by the next. Any token
we ever made is known by its tag (``core/refresh_token.py``): a used one that comes back is a theft and ends
the family, a made-up one is nothing.

    the current one ──> rotate: it becomes the previous one, its successor the current
    the previous one, in the grace window ──> the same successor again: an answer was lost
    anything older, or later ──> the family ends, access tokens included

Source: design.md section 4; RFC 9700 section 4.14.2; RT-01, RT-02.
"""

from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from keyturn.core.records import RefreshFamily


class Verdict(StrEnum):
    """What presenting a genuine token of a family means."""

    ROTATE = "rotate"
    REPEAT = "repeat"
    REPLAYED = "replayed"


def judge(family: RefreshFamily, generation: int, now: datetime, grace: timedelta) -> Verdict:
    """Say what a genuine token of a living family means.

    Args:
        family: As it is in the store.
        generation: Of the presented token.
        grace: How long after a rotation the previous token gets the same successor again; 0 never.
    """
    if generation >= family.generation:
        return Verdict.ROTATE
    # Without a grace not even a node whose clock is behind the one that rotated repeats anything (RE-07).
    in_grace = bool(grace) and family.rotated_at is not None and now < family.rotated_at + grace
    if generation == family.generation - 1 and in_grace:
        return Verdict.REPEAT
    return Verdict.REPLAYED


def rotated(
    family: RefreshFamily, current_hash: bytes, pepper_id: str, kept: bytes, now: datetime
) -> RefreshFamily:
    """Give the family after its newest token was replaced by a successor.

    Args:
        current_hash: Digest of the successor, under ``pepper_id``.
        kept: What gives the successor again to whoever presents the same token.
    """
    return msgspec.structs.replace(
        family,
        generation=family.generation + 1,
        current_hash=current_hash,
        pepper_id=pepper_id,
        previous_hash=family.current_hash,
        rotated_at=now,
        successor_sealed=kept,
        version=family.version + 1,
    )


def ended(family: RefreshFamily, why: str, now: datetime) -> RefreshFamily:
    """Give the family after its end; what could revive it is gone from it."""
    return msgspec.structs.replace(
        family,
        ended_at=now,
        ended_why=why,
        previous_hash=None,
        successor_sealed=None,
        version=family.version + 1,
    )
