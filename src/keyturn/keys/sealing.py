"""Seal small secrets under the master key: signing keys, peppers, readable secrets (TK-12).

AES-256-GCM with a random nonce. A sealed value is ``version (1) | master key id (8) | nonce (12) |
ciphertext and tag``; all but the ciphertext, and the value's place, are authenticated with it, so that a row
copied over another in the store does not open. Source: design.md section 3; NIST SP 800-38D.
"""

import base64
import binascii
import hashlib
import zlib
from collections.abc import Sequence
from typing import NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from keyturn.core.errors import ConfigError, Fault
from keyturn.core.secret import MASTER_KEY_PREFIX as PREFIX
from keyturn.core.secret import Dice

KEY_BYTES = 32

_VERSION = b"\x01"
_ID_BYTES = 8
_NONCE_BYTES = 12
_CHECKSUM_BYTES = 4
_HEAD_BYTES = len(_VERSION) + _ID_BYTES


class MasterKey:
    """The 256-bit key that everything else is sealed under; it does not print, format or pickle.

    Its text is ``kt_master_`` and 48 base64url characters: the key and its CRC-32, so that a leak scanner
    finds it and a typing error is told from a wrong key.
    """

    __slots__ = ("__key", "id")

    def __init__(self, key: bytes) -> None:
        """Take 32 random bytes."""
        if len(key) != KEY_BYTES:
            raise ConfigError(["the master key must be 32 bytes"])
        self.__key = key
        self.id = hashlib.sha256(key).digest()[:_ID_BYTES]

    @classmethod
    def generate(cls, dice: Dice) -> "MasterKey":
        """Make a fresh one."""
        return cls(dice(KEY_BYTES))

    @classmethod
    def parse(cls, text: str) -> "MasterKey":
        """Read a master key's text; surrounding whitespace, as a file's last newline, does not matter.

        Args:
            text: ``kt_master_...`` as Keyturn makes it, or any 32 bytes in base64 or base64url.

        Raises:
            ConfigError: It is neither; the text is not repeated, since it may be almost right.
        """
        text = text.strip()
        made_here = text.startswith(PREFIX)
        try:
            encoded = text.removeprefix(PREFIX).encode("ascii").translate(bytes.maketrans(b"-_", b"+/"))
            key = binascii.a2b_base64(encoded + b"=" * (-len(encoded) % 4), strict_mode=True)
        except ValueError:
            raise ConfigError(["the master key is not base64url"]) from None
        if not made_here:
            return cls(key)
        key, checksum = key[:-_CHECKSUM_BYTES], key[-_CHECKSUM_BYTES:]
        if len(key) != KEY_BYTES or zlib.crc32(key).to_bytes(_CHECKSUM_BYTES, "big") != checksum:
            raise ConfigError(["the master key is mistyped or cut: its checksum does not fit"])
        return cls(key)

    def reveal(self) -> str:
        """Give the text form, to show it once."""
        checksum = zlib.crc32(self.__key).to_bytes(_CHECKSUM_BYTES, "big")
        return PREFIX + base64.urlsafe_b64encode(self.__key + checksum).decode()

    def cipher(self) -> AESGCM:
        """Give the cipher under this key."""
        return AESGCM(self.__key)

    def derived(self, salt: bytes, purpose: bytes) -> AESGCM:
        """Give the cipher under a key made of this one for one file (RFC 5869)."""
        return AESGCM(HKDF(SHA256(), KEY_BYTES, salt, purpose).derive(self.__key))

    def __repr__(self) -> str:
        """Show which key it is, by its id alone."""
        return f"MasterKey({self.id.hex()})"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied into another process."""
        message = "a MasterKey is never serialised"
        raise TypeError(message)


class MasterSealer:
    """The ``MasterKeyring`` of ``core.ports``: seals under one master key, opens under every one it holds.

    Used on the event loop and on the writer's thread; what both look at is replaced whole.
    """

    def __init__(self, key: MasterKey, dice: Dice) -> None:
        """Seal and open under ``key``; ``dice`` gives nonces."""
        self._dice = dice
        self._ciphers: dict[bytes, AESGCM] = {}
        self._current = b""
        self.hold((key,))

    @property
    def held(self) -> tuple[str, ...]:
        """Name the keys that it opens with, in the order in which they were given."""
        return tuple(head[len(_VERSION) :].hex() for head in self._ciphers)

    @property
    def current(self) -> str:
        """Name the key that it seals under."""
        return self._current[len(_VERSION) :].hex()

    def hold(self, keys: Sequence[MasterKey]) -> bool:
        """Open with these keys from now on, and with the one in use, whether or not it is among them.

        Returns:
            Whether it is. A file that was mended in haste must not stop a server that runs.
        """
        ciphers = {_VERSION + key.id: key.cipher() for key in keys}
        complete = not self._current or self._current in ciphers
        if not complete:
            ciphers[self._current] = self._ciphers[self._current]
        self._ciphers = ciphers
        self._current = self._current or next(iter(ciphers))
        return complete

    def key_in(self, text: str) -> str | None:
        """Give the id of the key that a text is, where it is one that this opens with."""
        try:
            key = MasterKey.parse(text)
        except ConfigError:
            return None
        return key.id.hex() if _VERSION + key.id in self._ciphers else None

    def use(self, key_id: str) -> bool:
        """Seal under another of the keys that are held; False where it is not held."""
        head = _VERSION + bytes.fromhex(key_id)
        if head not in self._ciphers:
            return False
        self._current = head
        return True

    def seal(self, purpose: str, name: str, clear: bytes) -> bytes:
        """Encrypt and authenticate a value for one place."""
        return self._seal(self._current, purpose, name, clear)

    def seal_under(self, key_id: str, purpose: str, name: str, clear: bytes) -> bytes:
        """Seal under one of the keys that are held, whichever is used now.

        Raises:
            Fault: It is not held.
        """
        return self._seal(_VERSION + bytes.fromhex(key_id), purpose, name, clear)

    def _seal(self, head: bytes, purpose: str, name: str, clear: bytes) -> bytes:
        cipher = self._ciphers.get(head)
        if cipher is None:
            raise Fault(f"{purpose}/{name} cannot be sealed under a master key that is not held")
        # Random nonces of 96 bits are safe for 2**32 values under one key (SP 800-38D section 8.3): we seal
        # keys and secrets, never traffic.
        nonce = self._dice(_NONCE_BYTES)
        return head + nonce + cipher.encrypt(nonce, clear, _place(head, purpose, name))

    def open(self, purpose: str, name: str, sealed: bytes) -> bytes:
        """Decrypt a value.

        Raises:
            Fault: It was sealed for another place, under another key, or altered.
        """
        head, body = sealed[:_HEAD_BYTES], sealed[_HEAD_BYTES:]
        if len(head) != _HEAD_BYTES or head[:1] != _VERSION:
            raise Fault(f"the sealed value {purpose}/{name} is cut or of an unknown version")
        cipher = self._ciphers.get(head)
        if cipher is None:
            needed, ours = head[1:].hex(), ", ".join(self.held)
            raise Fault(f"{purpose}/{name} needs the master key with id {needed}; this process has {ours}")
        nonce, ciphertext = body[:_NONCE_BYTES], body[_NONCE_BYTES:]
        try:
            return cipher.decrypt(nonce, ciphertext, _place(head, purpose, name))
        except (InvalidTag, ValueError):
            raise Fault(f"the sealed value {purpose}/{name} was altered or belongs elsewhere") from None


def _place(head: bytes, purpose: str, name: str) -> bytes:
    # The length keeps ("a", "bc") apart from ("ab", "c").
    first = purpose.encode()
    return head + len(first).to_bytes(4, "big") + first + name.encode()
