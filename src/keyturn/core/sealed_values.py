"""What lies sealed under the master key: in which records, for which place, and under which key.

A sealed value is bound to its place by a purpose and a name, which stand in this one table. Whoever adds a
record that holds one adds a line, so that ``keyturn master-key rotate`` does not pass it over.
"""

from collections.abc import Mapping

import msgspec

from keyturn.core.admin_records import KeptAnswer
from keyturn.core.changes import Replace, ReplaceKey
from keyturn.core.errors import Fault
from keyturn.core.notices import Subscription
from keyturn.core.ports import Sealer
from keyturn.core.records import Credential, Sealed, SigningKey

SIGNING_KEY = "signing_key"
KEPT_ANSWER = "kept answer"
WEBHOOK_SECRET = "webhook secret"
MASTER_KEY = "master-key"
"""The purpose of the value that says which master key is in use; its name is ``IN_USE``."""
IN_USE = "in use"

Keeper = SigningKey | Sealed | Credential | KeptAnswer | Subscription
"""Every kind of record that keeps something under the master key."""

FIELDS: Mapping[type[Keeper], str] = {
    Sealed: "value",
    SigningKey: "sealed_private",
    Credential: "sealed",
    KeptAnswer: "answer",
    Subscription: "secret",
}
"""The field in which each keeps it, which is also the column's name."""

_ID_BYTES = slice(1, 9)


def place_of(record: Keeper) -> tuple[str, str]:
    """Give the purpose and the name that a record's sealed value is bound to."""
    match record:
        case SigningKey():
            # The issuer too, so that a row that is moved to another issuer does not open.
            return SIGNING_KEY, f"{record.issuer_id}/{record.id}"
        case Sealed():
            return record.purpose, record.id
        case Credential():
            return record.kind, record.id
        case KeptAnswer():
            return KEPT_ANSWER, record.id
        case Subscription():
            return WEBHOOK_SECRET, record.id


def key_of(value: bytes) -> str:
    """Name the master key that a sealed value is under (``keys/sealing.py`` has the format)."""
    return value[_ID_BYTES].hex()


def open_value(record: Keeper, sealer: Sealer) -> bytes:
    """Open what a record keeps.

    Raises:
        Fault: It keeps nothing, or it does not open.
    """
    purpose, name = place_of(record)
    value: bytes | None = getattr(record, FIELDS[type(record)])
    if value is None:
        raise Fault(f"{purpose}/{name} is not sealed")
    return sealer.open(purpose, name, value)


def sealed_again(record: Keeper, sealer: Sealer) -> Replace | ReplaceKey:
    """Say the change by which a record's value comes under the key that is in use.

    Records that have a version raise it: who read the record before must not write the old value back.

    Raises:
        Fault: It does not open.
    """
    value = sealer.seal(*place_of(record), open_value(record, sealer))
    changed = {FIELDS[type(record)]: value}
    if isinstance(record, Credential | KeptAnswer | Subscription):
        fresh = msgspec.structs.replace(record, **changed, version=record.version + 1)
        return Replace(fresh, record.version)
    return ReplaceKey(msgspec.structs.replace(record, **changed), record)
