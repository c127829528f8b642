"""Values, a sealer and small moves that the store's contract tests share; also run as a process of its own.

``python store_kit.py acknowledge PATH`` prints each acknowledged request id, until it is killed.
``python store_kit.py count PATH SECONDS`` writes as fast as it can and prints how many units that were.
``python store_kit.py lease PATH NAME`` takes a lease at a word and prints whose it is.
``python store_kit.py fill PATH`` meets a full disk and recovers from it.
"""

import asyncio
import resource
import secrets
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keyturn.core.changes import Add, Recorded, Replace, RequireVersion, Unit
from keyturn.core.clock import SystemClock
from keyturn.core.errors import Fault, Unavailable
from keyturn.core.life import Life
from keyturn.core.records import (
    AuditEvent,
    Client,
    Credential,
    Organisation,
    RefreshFamily,
    Sealed,
    SigningKey,
)
from keyturn.core.vocabulary import (
    Algorithm,
    ClientId,
    CredentialId,
    CredentialKind,
    FamilyId,
    KeyId,
    OrganisationId,
)
from keyturn.storage import open_store
from keyturn.storage.memory import MemoryStore

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
ACME = OrganisationId("org-acme")
BETA = OrganisationId("org-beta")
ADDRESS = "203.0.113.77"
ON_CLIENT = RequireVersion("client", "client-1", 0)
"""What memory tells after the client was found once, as it was for every exchange."""


class PlainSealer:
    """Seals with one fixed key: what the key room does, without its key file."""

    def __init__(self) -> None:
        self._cipher = AESGCM(bytes(range(32)))

    def seal(self, purpose, name, clear):
        nonce = secrets.token_bytes(12)
        return nonce + self._cipher.encrypt(nonce, clear, f"{purpose}/{name}".encode())

    def open(self, purpose, name, sealed):
        try:
            return self._cipher.decrypt(sealed[:12], sealed[12:], f"{purpose}/{name}".encode())
        except InvalidTag as error:
            raise Fault("sealed for another place") from error


def open_file(path, clock=None, **settings):
    """Open a store on a file, or in a database."""
    clock = clock or SystemClock()
    return open_store(path, PlainSealer(), clock, secrets.token_bytes, create=True, **settings)


async def open_at(place, clock=None):
    """Open a store at a place of ``conftest``: in memory where it is None."""
    if place is None:
        return MemoryStore(PlainSealer(), clock or SystemClock(), secrets.token_bytes)
    return await open_file(place, clock)


def organisation(organisation_id=ACME, **fields):
    values = {"slug": f"slug-{organisation_id}", "name": "Acme", "api_key": f"key-{organisation_id}"}
    return Organisation(
        id=organisation_id, created_at=NOW, settings={"oauth2": {"lifetime": 600}}, **(values | fields)
    )


def client(client_id="client-1", organisation_id=ACME, **fields):
    return Client(
        id=ClientId(client_id),
        organisation_id=organisation_id,
        name="Robot",
        created_at=NOW,
        dialects=("oauth2",),
        grants=("client_credentials",),
        scopes=("read", "write"),
        audiences=("https://api.example",),
        **fields,
    )


def credential(credential_id="cred-1", owner_id="client-1", organisation_id=ACME, **fields):
    values = {
        "kind": CredentialKind.CLIENT_SECRET,
        "life": Life(created_at=NOW),
        "lookup_hash": b"\x00\xffhash",
        "scopes": None,
    }
    return Credential(
        id=CredentialId(credential_id),
        owner_id=owner_id,
        organisation_id=organisation_id,
        name="first",
        dialects=("oauth2",),
        pepper_id="pepper-1",
        **(values | fields),
    )


def signing_key(key_id="kid-1", issuer_id=ACME, **fields):
    return SigningKey(
        id=KeyId(key_id),
        issuer_id=issuer_id,
        algorithm=Algorithm.ES256,
        public_jwk={"kty": "EC", "crv": "P-256"},
        sealed_private=b"sealed",
        published_at=NOW,
        signs_from=NOW,
        **fields,
    )


def family(family_id="family-1", organisation_id=ACME):
    """Make a refresh family of the seeded client."""
    return RefreshFamily(
        id=FamilyId(family_id),
        organisation_id=organisation_id,
        client_id=ClientId("client-1"),
        subject="client-1",
        dialect="oauth2",
        profile="oauth2.access",
        credential_id=CredentialId("cred-1"),
        scopes=("read",),
        audiences=("https://api.example",),
        created_at=NOW,
        ends_at=NOW + timedelta(days=30),
        epochs=(0, 0, 0),
        current_hash=b"h",
        pepper_id="pepper-1",
    )


def pepper(name="pepper-1"):
    return Sealed(id=name, purpose="pepper", value=b"value", created_at=NOW)


def event(kind="test.done", organisation_id=ACME, **fields):
    return AuditEvent(
        kind=kind,
        actor="operator:test",
        organisation_id=organisation_id,
        **({"at": NOW, "request_id": "req-1", "details": {"route": "token", "dialect": "oauth2"}} | fields),
    )


def unit(*changes, organisation_id=ACME, lost=False, **fields):
    """Make a unit with an event of its own, and one for the loss where asked."""
    return Unit(
        changes=changes,
        audit=event(organisation_id=organisation_id, **fields),
        audit_if_lost=event("test.lost", organisation_id, outcome="conflict") if lost else None,
    )


def next_version(record, **fields):
    """Replace a record, as whoever read it would."""
    changed = msgspec.structs.replace(record, version=record.version + 1, **fields)
    return Replace(changed, record.version)


async def seed(store):
    """Add two organisations, and to the first a client with a secret."""
    for each in (organisation(ACME), organisation(BETA)):
        assert await store.recorder.record(unit(Add(each), organisation_id=each.id)) == Recorded()
    assert await store.recorder.record(unit(Add(client()), Add(credential()))) == Recorded()


# --- as a process of its own ---


async def acknowledge(path):
    """Print every acknowledged request id; the line leaves this process before the next unit starts."""
    store = await open_file(path)
    run = secrets.token_hex(4)

    async def one(lane):
        for number in range(1_000_000):
            name = f"{run}-{lane}-{number}"
            await store.recorder.record(unit(organisation_id=None, request_id=name))
            sys.stdout.write(name + "\n")
            sys.stdout.flush()

    await asyncio.gather(*(one(lane) for lane in range(8)))


async def count(path, seconds):
    """Start at a word on standard input, write for some seconds, print how many units that were."""
    store = await open_file(path)
    print("ready", flush=True)  # noqa: T201  # how the parent knows
    sys.stdin.readline()
    until = time.monotonic() + seconds

    async def one():
        done = 0
        while time.monotonic() < until:
            await store.recorder.record(unit(organisation_id=None))
            done += 1
        return done

    done = await asyncio.gather(*(one() for _ in range(8)))
    await store.close()
    print(sum(done), flush=True)  # noqa: T201  # the answer


async def lease(path, name):
    """Ask for the one lease at a word on standard input, and print our name or no."""
    store = await open_file(path)
    print("ready", flush=True)  # noqa: T201  # how the parent knows
    sys.stdin.readline()
    taken = await store.upkeep.lease("job", name, NOW, NOW + timedelta(minutes=1))
    await store.close()
    print(name if taken else "no", flush=True)  # noqa: T201  # the answer


async def fill(path):
    """Write until files may not grow any more, see Unavailable, lift the limit, and go on."""
    store = await open_file(path)
    log = Path(f"{path}-wal")
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (log.stat().st_size + 100_000, hard))  # noqa: ASYNC240  # alone in its process
    kept = refused = 0
    for number in range(1000):
        try:
            await store.recorder.record(unit(organisation_id=None, details={"x": "y" * 5000}))
            kept += 1
        except Unavailable:
            refused += 1
        if refused == 3:
            store.registry.require_fresh()  # reading goes on
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        if refused == 3 and number > 200:
            break
    await store.close()
    print(kept, refused, flush=True)  # noqa: T201  # the answer


if __name__ == "__main__":
    what, where, *rest = sys.argv[1:]
    if what == "acknowledge":
        asyncio.run(acknowledge(where))
    elif what == "lease":
        asyncio.run(lease(where, rest[0]))
    elif what == "count":
        asyncio.run(count(where, float(rest[0])))
    else:
        asyncio.run(fill(where))
