"""A deployment in process: the real desk over the memory store, two organisations, a clock to move.

    async with deployment() as here:
        answer = await here.ask("POST", "/o/acme/oauth2/token", headers=[...], body=b"...")

Nothing is patched: what must go wrong is a fake behind a port (``Moody``), and a dialect that exists only in
a test is handed in as a value.
"""

import base64
import contextlib
import copy
import hashlib
import json
import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import msgspec
import structlog

from ground import (
    ACTOR,
    PUBLIC_URL,
    HandClock,
    cheap_passwords,
    ground_of,
    local_services,
)
from keyturn.app import LocalServices, assemble
from keyturn.core.changes import Add, Change, Recorded, Replace, Unit
from keyturn.core.identifiers import uuid7
from keyturn.core.life import Life
from keyturn.core.limits import Rate
from keyturn.core.records import AuditEvent, AuditRow, Client, Credential, Organisation
from keyturn.core.transforms import TRANSFORMS
from keyturn.core.vocabulary import CLIENT_KINDS, ClientId, CredentialId, CredentialKind
from keyturn.directory.clients import ClientWish, create_client
from keyturn.directory.credentials import create_client_secret
from keyturn.keys.peppers import Peppers
from keyturn.keys.sealing import MasterSealer
from keyturn.seeding import MAIN, ORGANISATIONS
from keyturn.storage.limits import MemoryLimits
from keyturn.storage.memory import MemoryStore
from keyturn.web.protocol import OVERSIZED
from keyturn.web.refusals import Refusals
from keyturn.wire.compile import CompiledRoute
from keyturn.wire.tables import Dialect, Sample

PLENTY = Rate(per_minute=1_000_000, burst=1_000_000)

# Painting a traceback, as structlog does by itself where rich is installed, takes half a second.
structlog.configure([structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer()])

_PLACE = re.compile(r"\{(\w+(?:\.\w+)*)(:form)?\}")


class Moody:
    """A port that raises what it is told to instead of answering, as long as it is told so."""

    def __init__(self, port: Any) -> None:
        """Stand before a working port."""
        self._port = port
        self.raises: Exception | None = None
        self.calls: list[tuple[str, tuple[Any, ...]]] = []

    def __getattr__(self, name: str) -> Any:
        there = getattr(self._port, name)
        if not callable(there):
            return there

        def call(*args: Any, **kwargs: Any) -> Any:
            self.calls.append((name, args))
            if self.raises is not None:
                raise self.raises
            return there(*args, **kwargs)

        return call


class MoodyStore:
    """A memory store whose registry and recorder may be told to fail."""

    def __init__(self, store: MemoryStore) -> None:
        """Stand before a working store."""
        self._store = store
        self.registry = Moody(store.registry)
        self.recorder = Moody(store.recorder)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class Answer(msgspec.Struct, frozen=True):
    """What the desk sent."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, which must be JSON."""
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        """The value of a header that is there at most once."""
        values = [value for key, value in self.headers if key == name.lower()]
        assert len(values) <= 1, f"{name} is there {len(values)} times"
        return values[0] if values else None

    def seen(self) -> tuple[Any, ...]:
        """Everything a caller sees but fresh identifiers, for comparing answers byte for byte."""
        body = self.body
        request_id = self.header("x-request-id") or "none"
        for shown in (request_id, TRANSFORMS["short_id"](request_id)):
            body = body.replace(shown.encode(), b"<request>")
        return self.status, tuple(pair for pair in self.headers if pair[0] != "x-request-id"), body


Headers = Iterable[tuple[str | bytes, str | bytes]]


class Deployment:
    """An open deployment with its desk, and all that a test may want to look at or change."""

    def __init__(
        self,
        local: LocalServices,
        store: MoodyStore,
        limits: MemoryLimits,
        clock: HandClock,
        kept_refusals: int,
        routes: Sequence[CompiledRoute] | None = None,
    ) -> None:
        """Assemble the desk exactly as the server does."""
        self.local = local
        self.store = store
        self.clock = clock
        self.refusals = Refusals(local.store.recorder, clock, kept_a_minute=kept_refusals)
        self.desk, self.metrics = assemble(local, limits, PUBLIC_URL, refusals=self.refusals, routes=routes)
        self.organisations: dict[str, Organisation] = {}
        self.members: dict[str, dict[str, dict[str, Any]]] = {slug: {} for slug in ORGANISATIONS}

    async def ask(
        self,
        method: str,
        path: str,
        *,
        query: bytes = b"",
        headers: Headers = (),
        body: bytes = b"",
        address: str = "192.0.2.1",
        oversized: bool = False,
    ) -> Answer:
        """Send one request as the server would hand it in, and collect the answer."""
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode("ascii"),
            "query_string": query,
            "headers": [(_bytes(name).lower(), _bytes(value)) for name, value in headers],
            "client": (address, 50_000),
            "server": ("127.0.0.1", 8480),
            "state": {OVERSIZED: True} if oversized else {},
        }
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        await self.desk(scope, receive, send)
        start, *rest = sent
        content = b"".join(message.get("body", b"") for message in rest)
        pairs = tuple(
            (name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in start["headers"]
        )
        answer = Answer(start["status"], pairs, content)
        if method != "HEAD":
            assert answer.header("content-length") == str(len(content))
        return answer

    async def audit(self, kind: str | None = None) -> list[AuditRow]:
        """Read the audit trail, oldest first, of one kind or whole."""
        rows = await self.local.deployment.audit_rows(limit=1_000_000)
        return [row for row in rows if kind is None or row.kind == kind]

    async def jwks(self, slug: str = MAIN) -> dict[str, Any]:
        """Fetch the key set that is served for an organisation."""
        answer = await self.ask("GET", f"/o/{slug}/.well-known/jwks.json")
        assert answer.status == 200
        return answer.json

    # --- who exists ---

    async def organisation(self, slug: str = MAIN) -> Organisation:
        """Read an organisation as it is now."""
        found = await self.local.deployment.organisation_by_slug(slug)
        assert found is not None
        return found

    async def client(self, client_id: str) -> Client:
        """Read a client as it is now."""
        view = await self.local.deployment.client_view(ClientId(client_id))
        assert view is not None
        return view.client

    async def secrets(self, client_id: str) -> tuple[Credential, ...]:
        """Read what a client proves itself with, as it is now."""
        view = await self.local.deployment.client_view(ClientId(client_id))
        assert view is not None
        return tuple(each for each in view.credentials if each.kind in CLIENT_KINDS)

    async def add_client(self, slug: str = MAIN, **wish: Any) -> tuple[Client, str]:
        """Make a client with one secret, as the directory does."""
        there = self.local.deployment.organisation_store((await self.organisation(slug)).id)
        common = {"now": self.clock.now(), "dice": self.local.dice}
        made = ClientWish(**({"name": "a client"} | wish))
        client = await create_client(ACTOR, there, made, dialects=tuple(self.local.dialects), **common)
        _, secret = await create_client_secret(
            ACTOR, there, client.id, "first", digester=self.local.digester, **common
        )
        return client, secret.reveal()

    async def import_secret(self, client_id: str, text: str, **changes: Any) -> Credential:
        """Give a client a secret of its own text, as an import does: through the store, as a digest."""
        client = await self.client(client_id)
        pepper_id = self.local.digester.current_pepper_id
        digest = hashlib.sha256(text.encode()).digest()
        members: dict[str, Any] = {
            "id": CredentialId(uuid7(self.clock.now(), self.local.dice)),
            "kind": CredentialKind.CLIENT_SECRET,
            "owner_id": client.id,
            "organisation_id": client.organisation_id,
            "name": "imported",
            "life": Life(created_at=self.clock.now()),
            "dialects": client.dialects,
            "lookup_hash": self.local.digester.lookup_hash(digest, pepper_id),
            "pepper_id": pepper_id,
        }
        credential = Credential(**(members | changes))
        await self.change(Add(credential))
        return credential

    def bring_pepper(self) -> Peppers:
        """Know the pepper of a deployment that an organisation came from; gives what that one tags with."""
        theirs, digester = Peppers({"brought": bytes(32)}, "brought", bytes(32)), self.local.digester
        own = digester.tags
        setattr(digester, "tags", lambda message: {**own(message), **theirs.tags(message)})  # noqa: B010  # a port
        return theirs

    async def replace(self, record: Any, **changes: Any) -> Any:
        """Change a record in the store as an operator's verb does, its version included."""
        changed = msgspec.structs.replace(record, **changes, version=record.version + 1)
        await self.change(Replace(changed, record.version))
        return changed

    async def change(self, *changes: Change) -> None:
        """Carry changes out, outside any organisation."""
        now = self.clock.now()
        event = AuditEvent(
            at=now, kind="test.changed", actor=ACTOR.name, request_id=uuid7(now, self.local.dice)
        )
        assert await self.local.deployment.record(Unit(changes=changes, audit=event)) == Recorded()


def basic(owner: str, secret: str) -> str:
    """Give the HTTP Basic form of a client, both parts form-encoded (RFC 6749 section 2.3.1)."""
    clear = f"{quote(owner, safe='')}:{quote(secret, safe='')}"
    return "Basic " + base64.b64encode(clear.encode()).decode()


def fill(text: str, members: Mapping[str, Any], basic_value: str) -> str:
    """Fill a golden sample's places with a demo entry's members, as ``Sample`` documents."""

    def put(place: re.Match[str]) -> str:
        if place[1] == "basic":
            return basic_value
        found: Any = members
        for name in place[1].split("."):
            found = found[name]
        value = str(found)
        return quote(value, safe="") if place[2] else value

    return _PLACE.sub(put, text)


class Filled(msgspec.Struct, frozen=True):
    """The request of a golden sample, its places filled."""

    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    body: str


def fill_sample(
    dialect: Dialect, sample: Sample, members: Mapping[str, Any], basic_value: str, slug: str = MAIN
) -> Filled:
    """Fill every place of a golden sample; ``members`` has an ``answer`` where another was sent before."""

    def put(text: str) -> str:
        return fill(text, members, basic_value)

    route = next(route for route in dialect.routes if route.name == sample.route)
    path = route.path.replace("{organisation}", slug)
    for name, text in sample.path.items():
        path = path.replace(f"{{{name}}}", put(text))
    headers = tuple((name, put(text)) for name, text in sample.headers)
    return Filled(route.method, path, put(sample.query), headers, put(sample.body))


@contextlib.asynccontextmanager
async def deployment(
    *extra: Dialect,
    environ: Mapping[str, str] | None = None,
    rates: Mapping[str, Rate] | None = None,
    kept_refusals: int = 1_000_000,
    status_lists: bool = False,
) -> AsyncIterator[Deployment]:
    """Open a deployment with every dialect of the house on.

    Args:
        extra: Dialects that exist only in the test.
        environ: Settings, as the environment gives them.
        rates: Limits that are not out of the way: ``client``, ``address``, ``organisation``.
        status_lists: Whether tokens name the list that tells their status.
        kept_refusals: Of one address and public code in a minute; the rest are folded.
    """
    ground = await ground_of(extra, dict(environ or {}))
    clock, dice = HandClock(), ground.dice()
    sealer = MasterSealer(ground.master_key, dice)
    store = MoodyStore(ground.copy(sealer, clock, dice))
    await store.revocations.load()
    passwords = cheap_passwords(dice)
    local = local_services(
        store, Moody(ground.digester), passwords, sealer, clock, dice, ground.dialects, ground.cache_seconds
    )
    local = msgspec.structs.replace(local, status_lists=status_lists)
    limits = MemoryLimits(
        dict.fromkeys(("client", "user", "address", "organisation"), PLENTY) | dict(rates or {})
    )
    here = Deployment(local, store, limits, clock, kept_refusals, ground.routes)
    here.members = copy.deepcopy(ground.members)
    here.organisations = {slug: await here.organisation(slug) for slug in ORGANISATIONS}
    yield here
    passwords.close()
    await store.close()


def _bytes(text: str | bytes) -> bytes:
    return text.encode("latin-1") if isinstance(text, str) else text


def clear_texts(rows: Sequence[AuditRow]) -> str:
    """Give all that audit rows say in clear text, as one text to search in."""
    return repr([msgspec.to_builtins(row) for row in rows])
