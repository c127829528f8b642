"""Peppers."""

import asyncio
import hashlib
import hmac
import secrets
from datetime import UTC, datetime, timedelta

import pytest

from keyturn.core.errors import Fault
from keyturn.core.records import AuditEvent, Sealed
from keyturn.keys.peppers import PURPOSE, load_peppers
from keyturn.keys.sealing import MasterKey, MasterSealer

NOW = datetime(2026, 3, 1, tzinfo=UTC)
BORN = AuditEvent(at=NOW, kind="pepper.created", actor="system:start", request_id="r-1")
DIGEST = hashlib.sha256(b"secret").digest()


async def test_the_first_pepper_is_made_once(store, sealer):
    """TK-12: the first start makes a sealed pepper with its audit event, and the second start reads it."""
    first = await load_peppers(store, sealer, secrets.token_bytes, BORN)
    again = await load_peppers(store, sealer, secrets.token_bytes, BORN)
    assert [event.kind for event in store.audit] == ["pepper.created"]
    assert first.current_pepper_id == again.current_pepper_id == "pepper-1"
    assert first.lookup_hash(DIGEST, "pepper-1") == again.lookup_hash(DIGEST, "pepper-1")


async def test_nodes_that_start_together_share_it(store, sealer):
    """TK-12: of nodes that start at once on an empty store all digest alike."""
    nodes = await asyncio.gather(*(load_peppers(store, sealer, secrets.token_bytes, BORN) for _ in range(8)))
    assert len({node.lookup_hash(DIGEST, node.current_pepper_id) for node in nodes}) == 1
    assert len(store.audit) == 1


async def test_the_newest_pepper_is_current(store, sealer):
    """TK-12: new secrets go under the newest pepper, and older ones are still found under theirs."""
    for number, pepper in enumerate([b"a" * 32, b"b" * 32], start=1):
        name = f"pepper-{number}"
        store.values[PURPOSE, name] = Sealed(
            id=name,
            purpose=PURPOSE,
            value=sealer.seal(PURPOSE, name, pepper),
            created_at=NOW + timedelta(days=number),
        )
    peppers = await load_peppers(store, sealer, secrets.token_bytes, BORN)
    assert peppers.current_pepper_id == "pepper-2"
    assert peppers.lookup_hash(DIGEST, "pepper-1") == hmac.digest(b"a" * 32, DIGEST, "sha256")
    assert peppers.lookup_hash(DIGEST, "pepper-2") == hmac.digest(b"b" * 32, DIGEST, "sha256")


async def test_an_unknown_pepper_is_a_decoy(store, sealer):
    """An unknown pepper's id gives a digest that no known pepper and no other process gives."""
    one, other = [await load_peppers(store, sealer, secrets.token_bytes, BORN) for _ in range(2)]
    decoy = one.lookup_hash(DIGEST, "gone")
    assert len(decoy) == 32
    assert decoy not in {one.lookup_hash(DIGEST, "pepper-1"), other.lookup_hash(DIGEST, "gone")}


async def test_a_wrong_master_key_stops_the_start(store, sealer):
    """TK-12: peppers sealed under another master key are a fault, not new peppers."""
    await load_peppers(store, sealer, secrets.token_bytes, BORN)
    other = MasterSealer(MasterKey.generate(secrets.token_bytes), secrets.token_bytes)
    with pytest.raises(Fault, match="master key"):
        await load_peppers(store, other, secrets.token_bytes, BORN)
    assert sorted(store.values) == [("forms", "forms-2"), ("pepper", "pepper-1")]
