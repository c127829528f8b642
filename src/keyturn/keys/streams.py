r"""Seal files of any size in little memory: a head that everybody can read, then sealed pieces in order.

    keyturn backup 1\n | length (4) | head as JSON | length (4) piece | length (4) piece | ...

Each file has a key of its own, derived from the master key or a passphrase with the head's salt. A piece is
AES-256-GCM under the nonce ``number (11) | last (1)``, and authenticates the head: pieces that are missing,
moved, repeated or of another file do not open, and a file that ends without its last piece is cut. What is
inside is compressed. Source: Hoang, Reyhanitabar, Rogaway, Vizar: "Online Authenticated-Encryption and its
Nonce-Reuse Misuse-Resistance" (STREAM), NIST SP 800-38D, RFC 5869, RFC 7914.
"""

import hashlib
import zlib
from collections.abc import Iterator
from datetime import datetime
from typing import BinaryIO

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keyturn.core.errors import OperatorError
from keyturn.core.secret import Dice, Secret
from keyturn.keys.sealing import KEY_BYTES, MasterKey

PIECE_BYTES = 1 << 20
SALT_BYTES = 32
LONGEST_HEAD = 1 << 16
SCRYPT_LOG_N, SCRYPT_R, SCRYPT_P = 17, 8, 1
"""128 MB and about half a second (OWASP's first choice)."""
_TAG_BYTES = 16
_LENGTH_BYTES = 4
_COUNTER_BYTES = 11
_LEVEL = 3
"""Most of a store is digests and sealed values, which no effort makes smaller."""


class Head(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What can be read of a sealed file without its key.

    Args:
        made_by: The version of Keyturn.
        salt: Makes the file's key its own.
        key_id: Of the master key; None where it is sealed under a passphrase.
        facts: What is in it, for people.
    """

    made_by: str
    created_at: datetime
    salt: bytes
    key_id: str | None = None
    facts: dict[str, str] = {}


class Sealing:
    """Writes one sealed file.

    Args:
        file: Open to write, at its start.
        magic: The first line, without its end: what kind of file it is.
        head: With a fresh salt.
        cipher: Of ``under_master_key`` or ``under_passphrase``, with the head's salt.
    """

    def __init__(self, file: BinaryIO, magic: str, head: Head, cipher: AESGCM) -> None:
        self._file = file
        self._cipher = cipher
        self._packer = zlib.compressobj(_LEVEL)
        self._waiting = bytearray()
        self._number = 0
        encoded = msgspec.json.encode(head)
        start = magic.encode() + b"\n" + len(encoded).to_bytes(_LENGTH_BYTES) + encoded
        self._context = hashlib.sha256(start).digest()
        file.write(start)

    def write(self, clear: bytes) -> None:
        """Add some bytes."""
        self._waiting += self._packer.compress(clear)
        while len(self._waiting) > PIECE_BYTES:
            self._seal(bytes(self._waiting[:PIECE_BYTES]), last=False)
            del self._waiting[:PIECE_BYTES]

    def finish(self) -> None:
        """Write the rest, and that it is the rest."""
        self._waiting += self._packer.flush()
        while len(self._waiting) > PIECE_BYTES:
            self._seal(bytes(self._waiting[:PIECE_BYTES]), last=False)
            del self._waiting[:PIECE_BYTES]
        self._seal(bytes(self._waiting), last=True)

    def _seal(self, clear: bytes, *, last: bool) -> None:
        sealed = self._cipher.encrypt(_nonce(self._number, last=last), clear, self._context)
        self._file.write(len(sealed).to_bytes(_LENGTH_BYTES) + sealed)
        self._number += 1


class Opening:
    """Reads one sealed file: its head at once, the rest when its cipher is known.

    Raises:
        OperatorError: It is no file of this kind.
    """

    def __init__(self, file: BinaryIO, magic: str) -> None:
        self._file = file
        line = magic.encode() + b"\n"
        length = file.read(len(line) + _LENGTH_BYTES)
        if not length.startswith(line):
            raise OperatorError(f"this is no file of the kind {magic!r}")
        size = int.from_bytes(length[len(line) :])
        encoded = file.read(size) if size <= LONGEST_HEAD else b""
        try:
            self.head = msgspec.json.decode(encoded, type=Head)
        except msgspec.MsgspecError:
            raise OperatorError("its head cannot be read: it is cut or was altered") from None
        self._context = hashlib.sha256(length + encoded).digest()

    def pieces(self, cipher: AESGCM) -> Iterator[bytes]:
        """Give what is inside, piece by piece; only what was proved genuine, but more may be missing still.

        Raises:
            OperatorError: A piece does not open, or the last one is missing or not the last.
        """
        packed, number, last = zlib.decompressobj(), 0, False
        try:
            while not last:
                sealed = self._next(number)
                clear, last = self._open(cipher, sealed, number)
                number += 1
                while clear:
                    yield packed.decompress(clear, PIECE_BYTES)
                    clear = packed.unconsumed_tail
            if rest := packed.flush():
                yield rest
        except zlib.error:
            raise OperatorError(f"piece {number - 1} was not written by us") from None
        if self._file.read(1) or not packed.eof:
            raise OperatorError("there is more behind its end: it was altered")

    def _next(self, number: int) -> bytes:
        length = self._file.read(_LENGTH_BYTES)
        size = int.from_bytes(length)
        sealed = self._file.read(size) if size <= PIECE_BYTES + _TAG_BYTES else b""
        if len(length) < _LENGTH_BYTES or len(sealed) != size:
            raise OperatorError(f"piece {number} is cut, or was altered")
        return sealed

    def _open(self, cipher: AESGCM, sealed: bytes, number: int) -> tuple[bytes, bool]:
        for last in (False, True):
            try:
                return cipher.decrypt(_nonce(number, last=last), sealed, self._context), last
            except (InvalidTag, ValueError):
                continue
        raise OperatorError(f"piece {number} was altered or moved, or this is not its key or passphrase")


def under_master_key(key: MasterKey, salt: bytes, magic: str) -> AESGCM:
    """Give the cipher of a file under the master key."""
    return key.derived(salt, magic.encode())


def under_passphrase(passphrase: Secret, salt: bytes, magic: str) -> AESGCM:
    """Give the cipher of a file under a passphrase, slowly, since people choose those."""
    key = hashlib.scrypt(
        passphrase.reveal().encode(),
        salt=salt + magic.encode(),
        n=1 << SCRYPT_LOG_N,
        r=SCRYPT_R,
        p=SCRYPT_P,
        maxmem=(SCRYPT_R << SCRYPT_LOG_N + 7) + (1 << 20),
        dklen=KEY_BYTES,
    )
    return AESGCM(key)


def make_salt(dice: Dice) -> bytes:
    """Make the salt of a fresh file."""
    return dice(SALT_BYTES)


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(_COUNTER_BYTES) + bytes([last])
