"""Secrets: how they are made, recognised, and kept from leaking."""

import copy
import pickle
import re
import secrets

import pytest

from keyturn.core.secret import PREFIXES, SECRET_PATTERN, Secret, make_secret, parse_secret
from keyturn.core.vocabulary import CredentialKind


def asked(sizes):
    """Dice that note how many bytes they were asked for."""

    def dice(size):
        sizes.append(size)
        return secrets.token_bytes(size)

    return dice


@pytest.mark.parametrize("kind", PREFIXES)
def test_a_made_secret_has_256_random_bits(kind):
    """TK-11: a secret of each kind is made from 32 bytes of the dice, and holds all of them."""
    sizes = []
    make_secret(kind, asked(sizes))
    longer = kind is CredentialKind.API_TOKEN
    assert sizes == [39 if longer else 32]
    lowest, highest = (
        make_secret(kind, lambda _, byte=byte: byte * sizes[0]).reveal() for byte in (b"\0", b"\xff")
    )
    assert len(lowest) == len(highest) == (65 if longer else len(PREFIXES[kind]) + 43 + 6)
    assert 62**43 > 2**256


@pytest.mark.parametrize("kind", PREFIXES)
def test_a_made_secret_is_recognised(kind):
    """TK-11: a secret of each kind is URL-safe, fits the scanner's pattern and parses as its kind."""
    text = make_secret(kind, secrets.token_bytes).reveal()
    assert re.fullmatch(r"[0-9A-Za-z_]+", text)
    assert SECRET_PATTERN.fullmatch(text)
    assert parse_secret(text) is kind


def test_secrets_differ():
    """TK-11: a thousand secrets are a thousand different ones."""
    made = {make_secret(CredentialKind.CLIENT_SECRET, secrets.token_bytes).reveal() for _ in range(1000)}
    assert len(made) == 1000


def test_one_wrong_character_is_seen():
    """TK-11: a secret with any one character changed no longer parses."""
    text = make_secret(CredentialKind.CLIENT_SECRET, secrets.token_bytes).reveal()
    for place in range(len(text)):
        other = "a" if text[place] != "a" else "b"
        assert parse_secret(text[:place] + other + text[place + 1 :]) is None


@pytest.mark.parametrize(
    "text", ["", "kt_", "kt_cs_", "kt_cs_" + "0" * 49, "password", "kt_cs_é" + "0" * 48, "\0"]
)
def test_other_texts_are_no_secrets(text):
    """A text that Keyturn did not make does not parse."""
    assert parse_secret(text) is None


def test_a_cut_or_padded_secret_is_none():
    """TK-06: a secret with characters missing, added or around it does not parse."""
    text = make_secret(CredentialKind.REFRESH_TOKEN, secrets.token_bytes).reveal()
    assert {parse_secret(each) for each in (text[:-1], text[1:], text + "0", f" {text}", text + "\n")} == {
        None
    }


def test_a_secret_does_not_print():
    """No way of formatting a secret shows its value."""
    secret = Secret("hidden")
    shown = [str(secret), repr(secret), f"{secret}", f"{secret!r:>20}", f"{secret:>20}", "%s" % secret]  # noqa: UP031
    assert not [text for text in [*shown, repr([secret]), repr(vars(type(secret)))] if "hidden" in text]
    assert secret.reveal() == "hidden"


@pytest.mark.parametrize("leak", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_secret_is_not_serialised(leak):
    """A secret is neither pickled nor copied."""
    with pytest.raises(TypeError, match="never serialised"):
        leak(Secret("hidden"))


def test_a_secret_is_not_compared():
    """A secret is neither compared nor hashed, since both take a time that tells."""
    with pytest.raises(TypeError, match="constant time"):
        Secret("a") == Secret("a")  # noqa: B015 - that it raises is the point
    with pytest.raises(TypeError):
        hash(Secret("a"))
