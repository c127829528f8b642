"""Signing keys on their way to another deployment, where an issuer goes on with them."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from cryptography.hazmat.primitives.serialization import load_der_private_key

from keyturn.core.errors import OperatorError
from keyturn.core.ports import Sealer
from keyturn.core.records import Sealed, SigningKey
from keyturn.core.sealed_values import open_value, place_of
from keyturn.keys.ring import FOUNDED


class MovedKey(msgspec.Struct, frozen=True):
    """A key on its way to another deployment: its record without what is sealed, and that in the clear."""

    record: SigningKey
    pkcs8: bytes

    def __repr__(self) -> str:
        """Show which key it is."""
        return f"MovedKey({self.record.id})"


def open_key(key: SigningKey, sealer: Sealer) -> MovedKey:
    """Take a key out of its deployment.

    Raises:
        Fault: It does not open.
        OperatorError: What is sealed is no private key itself.
    """
    pkcs8 = open_value(key, sealer)
    try:
        load_der_private_key(pkcs8, password=None)
    except ValueError:
        raise OperatorError(f"signing key {key.id} is kept elsewhere, and cannot go along") from None
    return MovedKey(msgspec.structs.replace(key, sealed_private=b""), pkcs8)


def seal_ring(keys: Sequence[MovedKey], sealer: Sealer, now: datetime) -> list[SigningKey | Sealed]:
    """Give what has to be added for an issuer's keys to go on in this deployment."""
    made: list[SigningKey | Sealed] = []
    for algorithm in dict.fromkeys(key.record.algorithm for key in keys):
        ring = [key for key in keys if key.record.algorithm is algorithm]
        name = f"{ring[0].record.issuer_id}/{algorithm}"
        value = sealer.seal(FOUNDED, name, ring[0].record.id.encode())
        made.append(Sealed(id=name, purpose=FOUNDED, value=value, created_at=now))
    for key in keys:
        private = sealer.seal(*place_of(key.record), key.pkcs8)
        made.append(msgspec.structs.replace(key.record, sealed_private=private))
    return made
