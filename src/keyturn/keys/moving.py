"""Signing keys on their way to another deployment, where an issuer goes on with them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_private_key

from keyturn.core.errors import Fault, OperatorError
from keyturn.core.ports import Sealer
from keyturn.core.records import Sealed, SigningKey
from keyturn.core.sealed_values import open_value, place_of
from keyturn.keys import schedule
from keyturn.keys.ring import FOUNDED
from keyturn.keys.signers import load_signer
from keyturn.tokens.jwks import public_jwk


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


def require_own(keys: Sequence[MovedKey], issuer_id: str) -> None:
    """Refuse keys that a file was given by hand: another issuer's, or none at all.

    A reference into this deployment's PKCS#11 token would sign with whosever key that is.

    Raises:
        OperatorError: One is no private key of this issuer's, or not the one that it is published as.
    """
    for key in keys:
        record = key.record
        try:
            load_signer(record.id, record.algorithm, key.pkcs8)  # refuses another kind of key
            public: Any = load_der_private_key(key.pkcs8, password=None).public_key()
            published = public_jwk(public, record.algorithm)
        except (Fault, ValueError, TypeError, UnsupportedAlgorithm):
            published = {}
        # An organisation's keys have no certificate, so their name is their thumbprint.
        own = (record.issuer_id, record.public_jwk, record.certificate) == (issuer_id, published, None)
        if not own or record.id != published["kid"]:
            raise OperatorError(f"signing key {record.id} in the file is not its organisation's")


def unsafe_until(keys: Sequence[MovedKey], now: datetime, longest: timedelta) -> datetime | None:
    """Tell until when tokens that live ``longest`` could outlive the key of theirs that signs (TK-14)."""
    records = [key.record for key in keys]
    rings = (schedule.of_algorithm(records, algorithm) for algorithm in {each.algorithm for each in records})
    return max(
        (until for ring in rings if (until := schedule.unsafe_until(ring, now, longest))), default=None
    )


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
