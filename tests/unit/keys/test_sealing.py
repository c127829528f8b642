"""Secrets at rest."""

import pickle
import secrets

import pytest

from keyturn.core.errors import ConfigError, Fault
from keyturn.keys.sealing import MasterKey, MasterSealer


@pytest.fixture
def master_key():
    return MasterKey.generate(secrets.token_bytes)


def test_a_sealed_value_opens_in_its_place(sealer):
    """TK-12: what is sealed for a place opens there, and its clear text is not in it."""
    sealed = sealer.seal("pepper", "pepper-1", b"clear text")
    assert b"clear" not in sealed
    assert sealer.open("pepper", "pepper-1", sealed) == b"clear text"


@pytest.mark.parametrize(
    "place", [("pepper", "pepper-2"), ("other", "pepper-1"), ("peppe", "rpepper-1"), ("", "pepperpepper-1")]
)
def test_a_sealed_value_opens_nowhere_else(sealer, place):
    """TK-12: a value copied to another name or purpose does not open."""
    with pytest.raises(Fault, match="belongs elsewhere"):
        sealer.open(*place, sealer.seal("pepper", "pepper-1", b"clear"))


def test_any_changed_byte_is_seen(sealer):
    """TK-12: a sealed value with any one byte changed, or cut anywhere, does not open."""
    sealed = sealer.seal("p", "n", b"clear")
    changed = [sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :] for at in range(len(sealed))]
    for value in [*changed, *(sealed[:length] for length in range(len(sealed))), sealed + b"\0"]:
        with pytest.raises(Fault):
            sealer.open("p", "n", value)


def test_the_same_value_seals_differently(sealer):
    """TK-12: no two sealed values share a nonce."""
    assert len({sealer.seal("p", "n", b"clear")[9:21] for _ in range(1000)}) == 1000


def test_a_wrong_master_key_says_which_is_needed(sealer, master_key):
    """TK-12: under another master key the fault names the id of the one that is needed, and no key."""
    needed = MasterSealer(master_key, secrets.token_bytes)
    with pytest.raises(Fault, match=master_key.id.hex()) as caught:
        sealer.open("p", "n", needed.seal("p", "n", b"clear"))
    assert master_key.reveal() not in str(caught.value)


def test_a_master_key_survives_its_text(master_key):
    """TK-11: the text of a master key, with a file's newline, is read back as the same key of 32 bytes."""
    text = master_key.reveal()
    assert text.startswith("kt_master_")
    assert len(text) == len("kt_master_") + 48
    assert MasterKey.parse(f" {text}\n").reveal() == text


@pytest.mark.parametrize(
    "text",
    ["A" * 43, "A" * 43 + "=", "-_" * 21 + "8", "+/" * 21 + "8="],
    ids=["url", "padded", "url2", "std"],
)
def test_any_32_bytes_are_a_master_key(text):
    """A master key made by another tool is read in base64 and in base64url."""
    assert len(MasterKey.parse(text).id) == 8


def test_a_mistyped_master_key_is_told_from_a_wrong_one(master_key):
    """A master key with any one character changed, or cut, is refused, and not repeated in the error."""
    text = master_key.reveal()
    for at in range(len("kt_master_"), len(text)):
        wrong = text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]
        with pytest.raises(ConfigError) as caught:
            MasterKey.parse(wrong)
        assert wrong[10:] not in str(caught.value)
    with pytest.raises(ConfigError):
        MasterKey.parse(text[:-4])


@pytest.mark.parametrize("text", ["", "kt_master_", "hunter2", "A" * 42, "A" * 45, "é" * 43, "A B", "\0"])
def test_other_texts_are_no_master_keys(text):
    """A text that is not 32 bytes is refused as a configuration error."""
    with pytest.raises(ConfigError):
        MasterKey.parse(text)


def test_a_master_key_does_not_leak(master_key):
    """A master key neither prints nor pickles."""
    assert repr(master_key) == str(master_key) == f"MasterKey({master_key.id.hex()})"
    with pytest.raises(TypeError, match="never serialised"):
        pickle.dumps(master_key)
