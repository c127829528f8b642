"""Refresh families: the form of a refresh token and the rule of its family. Pure.

A family is born with one refresh token (generation 0) and every rotation replaces it by the next. The token
names its family and generation and carries a tag under a key of ours, so that any token we ever made can be
told from a made-up one although only the newest two are remembered: a used one that comes back is a theft
and ends the family, a made-up one is nothing.

    the current one ──> rotate: it becomes the previous one, its successor the current
    the previous one, in the grace window ──> the same successor again: an answer was lost
    anything older, or later ──> the family ends, access tokens included

Source: design.md section 4; RFC 9700 section 4.14.2; RT-01, RT-02.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from keyturn.core.base62 import decode
from keyturn.core.records import RefreshFamily
from keyturn.core.secret import PREFIXES, Dice, Secret, parse_secret, spell_secret
from keyturn.core.vocabulary import CredentialKind, FamilyId

_RANDOM_BYTES = 32
_GENERATION_BYTES = 4
_TAG_BYTES = 16
_FAMILY_BYTES = 16
_BYTES = _FAMILY_BYTES + _GENERATION_BYTES + _RANDOM_BYTES + _TAG_BYTES
_DIGITS = 92
"""Base62 digits that hold ``_BYTES`` bytes: 62**92 > 2**544."""
_CHECKSUM_DIGITS = 6

Tagger = Callable[[bytes], bytes]
"""Gives a keyed digest of a message, under a key that never leaves us."""


class RefreshToken(msgspec.Struct, frozen=True):
    """What a presented refresh token says of itself; its tag was checked.

    Args:
        current: It was found by its digest, as the newest of its family.
    """

    family_id: FamilyId
    generation: int
    current: bool = False


def make_refresh_token(family_id: FamilyId, generation: int, tag: Tagger, dice: Dice) -> Secret:
    """Make the refresh token of one generation of a family."""
    body = (
        bytes.fromhex(family_id.replace("-", ""))
        + generation.to_bytes(_GENERATION_BYTES)
        + dice(_RANDOM_BYTES)
    )
    number = int.from_bytes(body + tag(body)[:_TAG_BYTES])
    return spell_secret(CredentialKind.REFRESH_TOKEN, number, _DIGITS)


def split_refresh_token(presented: Secret) -> tuple[RefreshToken, bytes, bytes] | None:
    """Take a presented refresh token apart: what it says, what was tagged, the tag; None if it is none."""
    text = presented.reveal()
    prefix = PREFIXES[CredentialKind.REFRESH_TOKEN]
    if len(text) != len(prefix) + _DIGITS + _CHECKSUM_DIGITS or parse_secret(text) is None:
        return None
    number = decode(text[len(prefix) : -_CHECKSUM_DIGITS])
    if number.bit_length() > 8 * _BYTES:
        return None
    raw = number.to_bytes(_BYTES)
    name = raw[:_FAMILY_BYTES].hex()
    family_id = FamilyId(f"{name[:8]}-{name[8:12]}-{name[12:16]}-{name[16:20]}-{name[20:]}")
    generation = int.from_bytes(raw[_FAMILY_BYTES : _FAMILY_BYTES + _GENERATION_BYTES])
    return RefreshToken(family_id, generation), raw[:-_TAG_BYTES], raw[-_TAG_BYTES:]


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
    family: RefreshFamily, current_hash: bytes, pepper_id: str, sealed: bytes, now: datetime
) -> RefreshFamily:
    """Give the family after its newest token was replaced by a successor.

    Args:
        current_hash: Digest of the successor, under ``pepper_id``.
        sealed: The successor under a key that only the presented token gives.
    """
    return msgspec.structs.replace(
        family,
        generation=family.generation + 1,
        current_hash=current_hash,
        pepper_id=pepper_id,
        previous_hash=family.current_hash,
        rotated_at=now,
        successor_sealed=sealed,
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
