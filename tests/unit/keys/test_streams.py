"""Sealed files: whole they open, and cut, altered, moved or foreign ones do not."""

import io
import secrets
import stat
from datetime import UTC, datetime

import pytest

from keyturn.core.errors import OperatorError
from keyturn.core.secret import Secret
from keyturn.keys import files, streams
from keyturn.keys.sealing import MasterKey

MAGIC = "keyturn test 1"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = MasterKey(bytes(range(32)))
CLEAR = secrets.token_bytes(2 * streams.PIECE_BYTES + 12_345)


def head():
    return streams.Head(made_by="0", created_at=NOW, salt=secrets.token_bytes(32), key_id=KEY.id.hex())


def sealed(clear=CLEAR, at=None):
    """Give a sealed file's bytes, and where each of its pieces begins."""
    at = at or head()
    file = io.BytesIO()
    sealing = streams.Sealing(file, MAGIC, at, streams.under_master_key(KEY, at.salt, MAGIC))
    for start in range(0, len(clear), 100_000):
        sealing.write(clear[start : start + 100_000])
    sealing.finish()
    content = file.getvalue()
    place = len(MAGIC) + 1
    place += 4 + int.from_bytes(content[place : place + 4])
    places = []
    while place < len(content):
        places.append(place)
        place += 4 + int.from_bytes(content[place : place + 4])
    return content, places


def opened(content, key=KEY):
    opening = streams.Opening(io.BytesIO(content), MAGIC)
    return b"".join(opening.pieces(streams.under_master_key(key, opening.head.salt, MAGIC)))


@pytest.mark.parametrize("clear", [b"", b"x", bytes(3_000_000), CLEAR])
def test_round_trip(clear):
    """What was sealed comes out again: nothing, little, what compresses well, and several pieces."""
    assert opened(sealed(clear)[0]) == clear


def test_little_memory():
    """A small file that unpacks to much is given in small pieces."""
    opening = streams.Opening(io.BytesIO(sealed(bytes(20_000_000))[0]), MAGIC)
    pieces = opening.pieces(streams.under_master_key(KEY, opening.head.salt, MAGIC))
    assert max(map(len, pieces)) <= streams.PIECE_BYTES


def test_cut():
    """RE-09: a file that ends early anywhere, between two pieces too, does not open."""
    content, places = sealed()
    for end in (len(content) - 1, *places, places[-1] + 2, places[0] - 3, 5, 0):
        with pytest.raises(OperatorError):
            opened(content[:end])


def test_altered():
    """RE-09: one flipped bit in head, length or piece, or a byte more at the end, and it does not open."""
    content, places = sealed()
    for place in (20, places[0] - 2, places[0] + 3, places[1] + 100, len(content) - 1):
        flipped = bytearray(content)
        flipped[place] ^= 1
        with pytest.raises(OperatorError):
            opened(bytes(flipped))
    with pytest.raises(OperatorError, match="behind its end"):
        opened(content + b"\0")


def test_moved():
    """RE-09: pieces that change places, are left out, repeated or of another file do not open."""
    content, (first, second, third) = sealed()
    start, one, two, last = content[:first], content[first:second], content[second:third], content[third:]
    other, (_, begins, ends) = sealed()
    for parts in ((two, one, last), (one, last), (one, two), (one, one, two, last), (one, last, last)):
        with pytest.raises(OperatorError):
            opened(start + b"".join(parts))
    with pytest.raises(OperatorError, match="piece 1"):
        opened(start + one + other[begins:ends] + last)


def test_wrong_key():
    """Another master key opens nothing, and neither does a passphrase."""
    content, _ = sealed(b"secret")
    with pytest.raises(OperatorError, match="not its key"):
        opened(content, MasterKey(bytes(32)))


def test_passphrase(monkeypatch):
    """A passphrase opens what it sealed, and another does not."""
    assert streams.SCRYPT_LOG_N >= 17  # what it costs in earnest
    monkeypatch.setattr(streams, "SCRYPT_LOG_N", 4)
    at, file = head(), io.BytesIO()
    sealing = streams.Sealing(file, MAGIC, at, streams.under_passphrase(Secret("correct"), at.salt, MAGIC))
    sealing.write(b"inside")
    sealing.finish()
    for phrase, good in (("correct", True), ("Correct", False)):
        opening = streams.Opening(io.BytesIO(file.getvalue()), MAGIC)
        cipher = streams.under_passphrase(Secret(phrase), opening.head.salt, MAGIC)
        if good:
            assert b"".join(opening.pieces(cipher)) == b"inside"
        else:
            with pytest.raises(OperatorError):
                list(opening.pieces(cipher))


def test_other_files():
    """What is no file of the kind is refused by its first line."""
    with pytest.raises(OperatorError, match="no file of the kind"):
        streams.Opening(io.BytesIO(b"SQLite format 3\0" + bytes(100)), MAGIC)


def test_another_writer():
    """What is sealed rightly and packed wrongly is refused in words: whoever has a passphrase can do that."""
    at, file = head(), io.BytesIO()
    cipher = streams.under_master_key(KEY, at.salt, MAGIC)
    sealing = streams.Sealing(file, MAGIC, at, cipher)
    sealing._packer = type("Plain", (), {"compress": lambda _, clear: clear, "flush": lambda _: b""})()
    sealing.write(b"plain text")
    sealing.finish()
    with pytest.raises(OperatorError, match="not written by us"):
        opened(file.getvalue())


def test_a_file_in_the_way(tmp_path):
    """What lies where a file is written gets its mode, and is not written to if it has another name."""
    file, partial = tmp_path / "file", tmp_path / "file.part"
    partial.write_text("left")
    partial.chmod(0o666)
    with files.fresh(file, force=False) as out:
        out.write(b"whole")
    assert (file.read_bytes(), stat.S_IMODE(file.stat().st_mode)) == (b"whole", 0o600)
    partial.hardlink_to(file)  # killed in the moment after it was whole
    with pytest.raises(OperatorError, match="remove it"), files.fresh(file, force=True):
        pass
    assert file.read_bytes() == b"whole"
