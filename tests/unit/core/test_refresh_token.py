"""Refresh tokens: both forms say what was put into them, and each is told by its tag."""

import hashlib
import hmac
from functools import partial
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core import refresh_token
from keyturn.core.refresh_token import (
    DICE_BYTES,
    RefreshToken,
    make_numbered_token,
    make_refresh_token,
    read_refresh_token,
    recognise_refresh_token,
)
from keyturn.core.secret import Secret, checked_secret, parse_secret
from keyturn.core.vocabulary import CredentialKind, FamilyId

FAMILY = FamilyId("0199b1c2-7d3e-7a00-8f00-0123456789ab")
BEFORE = (
    "kt_rt_01k0CzRaPaoVvn2P7zMIwU6sKnXdCglKrDYTyxAIikhde58kpj5J5O3gyiinsjRSgwU85FIq1yPm2yPq7GLrnc1PTnes1cOIcN"
)
"""What release 0.1.0 made of generation 7 of this family."""
FAMILIES = st.integers(0, 2**128 - 1).map(lambda number: FamilyId(str(UUID(int=number))))
GENERATIONS = st.integers(0, 2**32 - 1)


def tag(message, key=b"ours"):
    """Tag as a digester does."""
    return hmac.digest(key, message, "sha256")


def spelled(family, generation, noise=b"", before=None):
    """Make a token of the form of now."""
    dice = hashlib.blake2b(noise, digest_size=DICE_BYTES).digest()
    return make_refresh_token(family, generation, tag, dice, before)


def numbered(family, generation):
    """Make a token of the first release's form."""
    return make_numbered_token(family, generation, tag, lambda size: bytes(range(size)))


def ours(message):
    """Tag under an older key, and the one in use."""
    return {"older": tag(message, b"older"), "now": tag(message)}


@given(family=FAMILIES, generation=GENERATIONS)
@pytest.mark.parametrize("make", [spelled, numbered])
def test_it_says_whose_it_is(make, family, generation):
    """RT-02: either form has 104 characters, says family and generation, and is known by its tag."""
    token = make(family, generation)
    assert len(token.reveal()) == 104
    assert parse_secret(token.reveal()) is CredentialKind.REFRESH_TOKEN
    assert recognise_refresh_token(token, ours) == (RefreshToken(family, generation), "now")
    assert recognise_refresh_token(token, lambda message: {"other": tag(message, b"theirs")}) is None
    assert read_refresh_token(token) == RefreshToken(family, generation)


@given(family=FAMILIES, generation=GENERATIONS, place=st.integers(6, 97), digit=st.sampled_from("0189AZaz"))
@pytest.mark.parametrize("make", [spelled, numbered])
def test_any_other_digit_is_made_up(make, family, generation, place, digit):
    """RT-02: with one digit altered and the checksum made anew nothing is ours any more."""
    text = make(family, generation).reveal()
    altered = checked_secret(text[:place] + digit + text[place + 1 : -6])
    assert (recognise_refresh_token(altered, ours) is None) == (altered.reveal() != text)


@pytest.mark.parametrize("make", [spelled, numbered])
def test_its_parts_do_not_print(make):
    """HT-07: a token that was taken apart shows whose it is, and neither its dice nor its tag."""
    token = make(FAMILY, 7)
    parts = refresh_token._split(token)
    assert repr(parts) == f"_Parts({RefreshToken(FAMILY, 7)})"


def test_the_first_release_made_it():
    """RE-04: what 0.1.0 made is known, and what is made for it is the same to the digit."""
    assert recognise_refresh_token(Secret(BEFORE), ours) == (RefreshToken(FAMILY, 7), "now")
    assert numbered(FAMILY, 7).reveal() == BEFORE


def test_a_name_is_copied_from_its_own_form_only():
    """A successor says the same of its family after a token of either form as without one."""
    alone = spelled(FAMILY, 8).reveal()
    for before in (spelled(FAMILY, 7), numbered(FAMILY, 7)):
        assert spelled(FAMILY, 8, before=before).reveal() == alone


def test_dice_make_the_difference():
    """TK-11: other dice give a token of the same family and generation that differs in most of 64 digits."""
    make = partial(spelled, FAMILY, 1)
    one, other = make(b"one").reveal(), make(b"other").reveal()
    assert one[:34] == other[:34]
    assert sum(a != b for a, b in zip(one[34:98], other[34:98], strict=True)) > 50


@pytest.mark.parametrize(
    "text", ["", "kt_rt_", "kt_rt_8", "kt_cs_" + "8" * 98, "kt_rt_" + "z" * 98, "kt_rt_é" + "8" * 97]
)
def test_no_refresh_token(text):
    """What has not the length, the prefix or the checksum of one is none; nor is a family that cannot be."""
    assert read_refresh_token(Secret(text)) is None
    assert read_refresh_token(checked_secret("kt_rt_" + "z" * 92)) is None
