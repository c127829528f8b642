"""The form of a refresh token: what it says of itself, and the tag by which we know our own. Pure.

    kt_rt_ | family (22) | generation (6) | dice (46) | tag (18) | checksum (6)        each spelled by itself

The tag is over all before it, under a key of ours, so that any token we ever made can be told from a made-up
one although only the newest two of a family are remembered. The first release knows another form, which is
made while a process of it may be about (``core/forms.py``) and read for good: one number of family (16
bytes), generation (4), dice (32) and tag (16). Both have 92 digits between prefix and checksum; the number is
too small for its first digit to be more than 4, and a spelled one begins with an 8 at least.

Source: design.md section 4; RT-01, TK-11.
"""

from collections.abc import Callable, Mapping
from hmac import compare_digest

import msgspec

from keyturn.core.base62 import decode, encode, encode_six, scatter
from keyturn.core.secret import PREFIXES, Dice, Secret, checked_secret, parse_secret, spell_secret
from keyturn.core.vocabulary import CredentialKind, FamilyId

DICE_BYTES = 46
"""A digit of each: worth 261 bits, whichever are guessed first."""

_PREFIX = PREFIXES[CredentialKind.REFRESH_TOKEN]
_DIGITS = 92
_CHECKSUM_DIGITS = 6

_FAMILY = slice(len(_PREFIX), len(_PREFIX) + 22)
_GENERATION = slice(_FAMILY.stop, _FAMILY.stop + 6)
_TAG_DIGITS = 18
"""Worth 102 bits at least; what a forged one could do is end a family."""
_BODY = slice(0, _GENERATION.stop + DICE_BYTES)
_TAG = slice(_BODY.stop, _BODY.stop + _TAG_DIGITS)
_SPELLED = 8 * 62**21
"""Added to a family's number, which is less than this: then the first digit is an 8 at least."""

_FAMILY_BYTES = 16
_GENERATION_BYTES = 4
_RANDOM_BYTES = 32
_TAG_BYTES = 16
_BYTES = _FAMILY_BYTES + _GENERATION_BYTES + _RANDOM_BYTES + _TAG_BYTES

Tagger = Callable[[bytes], bytes]
"""Gives a keyed digest of a message, under a key that never leaves us."""


class RefreshToken(msgspec.Struct, frozen=True):
    """What a presented refresh token says of itself.

    Args:
        current: It was found by its digest, as the newest of its family.
    """

    family_id: FamilyId
    generation: int
    current: bool = False


def make_refresh_token(
    family_id: FamilyId, generation: int, tag: Tagger, random: bytes, before: Secret | None = None
) -> Secret:
    """Make the refresh token of one generation of a family.

    Args:
        random: ``DICE_BYTES`` bytes that nobody can guess.
        before: A token of the same family, of which its name can be copied.
    """
    text = "" if before is None else before.reveal()
    family = text[_FAMILY] if _is_spelled(text) else encode(_SPELLED + _number(family_id), 22)
    body = _PREFIX + family + encode_six(generation) + scatter(random)
    return checked_secret(body + scatter(tag(body.encode())[:_TAG_DIGITS]))


def make_numbered_token(family_id: FamilyId, generation: int, tag: Tagger, dice: Dice) -> Secret:
    """Make the same in the first release's form."""
    body = (
        _number(family_id).to_bytes(_FAMILY_BYTES)
        + generation.to_bytes(_GENERATION_BYTES)
        + dice(_RANDOM_BYTES)
    )
    number = int.from_bytes(body + tag(body)[:_TAG_BYTES])
    return spell_secret(CredentialKind.REFRESH_TOKEN, number, _DIGITS)


def read_refresh_token(presented: Secret) -> RefreshToken | None:
    """Tell what a presented refresh token says of itself, though made up perhaps; None if it is none."""
    parts = _split(presented)
    return None if parts is None else parts.token


def recognise_refresh_token(
    presented: Secret, tags: Callable[[bytes], Mapping[str, bytes]]
) -> tuple[RefreshToken, str] | None:
    """Tell the same of a token with a tag under one of our peppers, and which that is; None of any other."""
    parts = _split(presented)
    if parts is None:
        return None
    for pepper_id, digest in tags(parts.tagged).items():
        if compare_digest(parts.tag, parts.spell(digest)):
            return parts.token, pepper_id
    return None


def has_older_form(token: Secret) -> bool:
    """Tell whether a genuine refresh token has the form that the first release reads."""
    return not _is_spelled(token.reveal())


class _Parts(msgspec.Struct, frozen=True):
    """A token taken apart; ``spell`` cuts a keyed digest to what stands in it as the tag."""

    token: RefreshToken
    tagged: bytes
    tag: bytes
    spell: Tagger

    def __repr__(self) -> str:
        """Show whose it is; all else of it together is the token."""
        return f"_Parts({self.token})"


def _split(presented: Secret) -> _Parts | None:
    text = presented.reveal()
    if len(text) != len(_PREFIX) + _DIGITS + _CHECKSUM_DIGITS:
        return None
    if parse_secret(text) is not CredentialKind.REFRESH_TOKEN:
        return None
    return _split_spelled(text) if _is_spelled(text) else _split_number(text)


def _is_spelled(text: str) -> bool:
    return text[_FAMILY.start : _FAMILY.start + 1] >= "8"


def _split_spelled(text: str) -> _Parts | None:
    family = decode(text[_FAMILY]) - _SPELLED
    if family.bit_length() > 8 * _FAMILY_BYTES:
        return None
    token = RefreshToken(_family_id(family.to_bytes(_FAMILY_BYTES)), decode(text[_GENERATION]))
    return _Parts(token, text[_BODY].encode(), text[_TAG].encode(), _spelled_tag)


def _spelled_tag(digest: bytes) -> bytes:
    return scatter(digest[:_TAG_DIGITS]).encode()


def _split_number(text: str) -> _Parts | None:
    number = decode(text[len(_PREFIX) : -_CHECKSUM_DIGITS])
    if number.bit_length() > 8 * _BYTES:
        return None
    raw = number.to_bytes(_BYTES)
    generation = int.from_bytes(raw[_FAMILY_BYTES : _FAMILY_BYTES + _GENERATION_BYTES])
    token = RefreshToken(_family_id(raw[:_FAMILY_BYTES]), generation)
    return _Parts(token, raw[:-_TAG_BYTES], raw[-_TAG_BYTES:], _numbered_tag)


def _numbered_tag(digest: bytes) -> bytes:
    return digest[:_TAG_BYTES]


def _number(family_id: FamilyId) -> int:
    return int(family_id.replace("-", ""), 16)


def _family_id(raw: bytes) -> FamilyId:
    name = raw.hex()
    return FamilyId(f"{name[:8]}-{name[8:12]}-{name[12:16]}-{name[16:20]}-{name[20:]}")
