"""What a store is filled with: a row of each kind is made by the product, and then multiplied in SQL.

Which columns a row has is asked of the database, so its shape cannot drift from what the product writes. A
copy has of its own: a name that rises with time, a digest that nobody has the secret of, its times. Some
copies are given a secret after all, so that the load can use them.
"""

import asyncio
import hashlib
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from bench.server import FORM, Server, UnfitError, claims_of
from bench.upkeeping import rest
from keyturn.app import LocalServices, open_local
from keyturn.config import load_settings
from keyturn.core.actors import system
from keyturn.core.changes import Add, Change, Recorded, Unit
from keyturn.core.identifiers import uuid7
from keyturn.core.records import AuditEvent, Client, Credential, Organisation
from keyturn.core.refresh_token import DICE_BYTES, make_refresh_token
from keyturn.core.secret import Secret
from keyturn.core.vocabulary import Algorithm, ClientId, CredentialId, FamilyId, OrganisationId
from keyturn.directory.clients import ClientWish, create_client
from keyturn.directory.credentials import create_client_secret
from keyturn.directory.organisations import create_organisation
from keyturn.storage.audit import Tail, link
from keyturn.storage.families import FAMILY_LIMIT
from keyturn.storage.schema import instant, micros

SAMPLE = 2 * FAMILY_LIMIT
"""How many families the load follows: twice as many as memory keeps, so each use is a read."""
TOKENS = 64
"""How many tokens the load knows; every other one is revoked."""
CLIENTS = 1_000
"""So many ask at the least: that another one asks each time costs something in one organisation too."""
AT_ONCE = 64
MILLISECOND = 1000
MINUTE = 60_000_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
LIVES_MICROS = DAY
"""Until when the last of the revocations is needed."""
SPAN_DAYS, KEPT_DAYS = 100, 97
"""Over how many days the audit trail reaches back, and how many of them retention keeps."""
CHAIN_ROWS = 1_000_000
"""Rows of one chain: as if a server had been started anew after so many."""

_ACTOR = system("bench")
_NEWEST_TOKEN = "SELECT * FROM audit WHERE kind = 'token.issued' ORDER BY id DESC LIMIT 1"
_UUID7 = (
    "printf('%08x-%04x-7', ({0}) >> 16, ({0}) & 65535) || substr({1}, 1, 3) || '-8' || substr({1}, 4, 3)"
    " || '-' || substr({1}, 7, 12)"
)
"""A UUIDv7 in SQL, from milliseconds and random hexadecimal digits."""


@dataclass(frozen=True, slots=True)
class Organisations:
    """Organisations with a client, a secret and an ES256 ring of their own; the rings are made one by one."""

    size: int
    environ: ClassVar[dict[str, str]] = {}

    @property
    def name(self) -> str:
        """Its name, for a folder."""
        return f"organisations-{self.size}"

    def begin(self, server: Server) -> None:
        """Need nothing of a running server."""

    def pour(self, data: Path, made: None) -> dict[str, Any]:
        """Make them; gives slug, client and secret of each, of a thousand clients at the least."""
        members = asyncio.run(self._make(data))
        with writing(data):
            return {"members": members}

    async def _make(self, data: Path) -> list[tuple[str, str, str]]:
        async with opened(data) as local:
            first, found, owners = await _member(local), [], []
            for begin in range(0, max(self.size, CLIENTS), AT_ONCE):
                changes: list[Change] = []
                for number in range(begin, min(begin + AT_ONCE, max(self.size, CLIENTS))):
                    if number < self.size:
                        owners.append(_organisation(local, first, f"bench-{number}"))
                        changes.append(Add(owners[-1]))
                    owner = owners[number % self.size]
                    client, secret, text = _client(local, first, owner)
                    changes += Add(client), Add(secret)
                    found.append((owner.slug, client.id, text))
                await _record(local, changes)
                now = local.clock.now()
                await asyncio.gather(
                    *(local.rings.signer(owner.id, Algorithm.ES256, now) for owner in owners[begin:])
                )
            return found


_Member = tuple[Organisation, Client, Credential]


async def _member(local: LocalServices) -> _Member:
    """Make an organisation with a client and its secret, as an operator does."""
    common = {"now": local.clock.now(), "dice": local.dice}
    owner = await create_organisation(_ACTOR, local.deployment, "bench", "A bench", **common)
    there = local.deployment.organisation_store(owner.id)
    wish = ClientWish(name="bench", grants=("client_credentials",), scopes=("read", "write"))
    client = await create_client(_ACTOR, there, wish, dialects=tuple(local.dialects), **common)
    held, _ = await create_client_secret(_ACTOR, there, client.id, "bench", digester=local.digester, **common)
    return owner, client, held


def _organisation(local: LocalServices, first: _Member, slug: str) -> Organisation:
    name = OrganisationId(uuid7(local.clock.now(), local.dice))
    return msgspec.structs.replace(first[0], id=name, slug=slug, api_key=local.dice(32).hex())


def _client(local: LocalServices, first: _Member, owner: Organisation) -> tuple[Client, Credential, str]:
    """Copy a client and its secret, which is another text."""
    name, text = uuid7(local.clock.now(), local.dice), f"bench-{local.dice(24).hex()}"
    digest = hashlib.sha256(text.encode()).digest()
    client = msgspec.structs.replace(first[1], id=ClientId(name), organisation_id=owner.id)
    secret = msgspec.structs.replace(
        first[2],
        id=CredentialId(uuid7(local.clock.now(), local.dice)),
        owner_id=name,
        organisation_id=owner.id,
        lookup_hash=local.digester.lookup_hash(digest, first[2].pepper_id),
    )
    return client, secret, text


async def _record(local: LocalServices, changes: list[Change]) -> None:
    now = local.clock.now()
    event = AuditEvent(at=now, kind="bench.filled", actor=_ACTOR.name, request_id=uuid7(now, local.dice))
    outcome = await local.deployment.record(Unit(changes=tuple(changes), audit=event))
    if not isinstance(outcome, Recorded):
        raise UnfitError(f"organisations cannot be made: {outcome}")


@dataclass(frozen=True, slots=True)
class Revocations:
    """Revocations of tokens that would live yet."""

    size: int
    environ: ClassVar[dict[str, str]] = {}

    @property
    def name(self) -> str:
        """Its name, for a folder."""
        return f"revocations-{self.size}"

    def begin(self, server: Server) -> list[str]:
        """Have tokens made, and the last of them revoked."""
        *tokens, last = server.prepare(TOKENS + 1, 8)[: TOKENS + 1]
        server.ask(server.revocation, f"token={last}")
        return tokens

    def pour(self, data: Path, made: list[str]) -> dict[str, Any]:
        """Multiply the revocation; some of the copies are of our tokens."""
        good, dead = (made, []) if self.size == 0 else (made[::2], made[1::2])
        with writing(data) as connection:
            now = micros(datetime.now(UTC))
            later = _spread(self.size, LIVES_MICROS)
            own = {
                "id": _uuid7(f"{now // MILLISECOND - self.size} + i"),
                "expires_at": f"{now + HOUR} + {later}",
            }
            multiply(connection, "revocation", self.size, own)
            step = max(1, self.size // len(made))
            for at, token in enumerate(dead):
                jti = claims_of(token)["jti"]
                connection.execute(
                    "UPDATE revocation SET id = ? WHERE rowid = (SELECT max(rowid) FROM revocation) - ?",
                    (jti, at * step),
                )
        return {"good": good, "dead": dead}


@dataclass(frozen=True, slots=True)
class Families:
    """Refresh families, of which ``SAMPLE`` belong to the load however few there are."""

    size: int
    environ: ClassVar[dict[str, str]] = {}

    @property
    def name(self) -> str:
        """Its name, for a folder."""
        return f"families-{self.size}"

    def begin(self, server: Server) -> None:
        """Have a family made."""
        server.ask(server.token, f"{FORM}+offline_access")

    def pour(self, data: Path, made: None) -> dict[str, Any]:
        """Multiply the family; gives refresh tokens."""
        with writing(data) as connection:
            now = micros(datetime.now(UTC))
            count = max(self.size, SAMPLE)
            own = {
                "id": _uuid7(f"{now // MILLISECOND - count} + i"),
                "current_hash": "randomblob(32)",
                "created_at": f"created_at - {count} + i",
                "ends_at": f"ends_at + {_spread(count, DAY)}",
            }
            multiply(connection, "refresh_family", count, own)
            names = connection.execute(
                "SELECT id FROM refresh_family WHERE rowid > 1 AND (rowid - 1) % ? = 0 LIMIT ?",
                (count // SAMPLE, SAMPLE),
            ).fetchall()
            tokens, rows = asyncio.run(_refresh_tokens(data, [FamilyId(name) for (name,) in names]))
            connection.executemany(
                "UPDATE refresh_family SET current_hash = ?, pepper_id = ? WHERE id = ?", rows
            )
        return {"refresh": tokens}


async def _refresh_tokens(
    data: Path, families: list[FamilyId]
) -> tuple[list[str], list[tuple[bytes, str, str]]]:
    async with opened(data) as local:
        digester = local.digester
        pepper = digester.current_pepper_id
        made: list[Secret] = [
            make_refresh_token(each, 0, digester.tag, local.dice(DICE_BYTES)) for each in families
        ]
        rows = [
            (digester.lookup_hash(token.sha256(), pepper), pepper, name)
            for name, token in zip(families, made, strict=True)
        ]
        return [token.reveal() for token in made], rows


@dataclass(frozen=True, slots=True)
class Audit:
    """Rows of the audit trail: tokens issued over the last days, in chains that hold."""

    size: int
    environ: ClassVar[dict[str, str]] = {"KEYTURN_AUDIT__RETENTION_DAYS": str(KEPT_DAYS)}

    @property
    def name(self) -> str:
        """Its name, for a folder."""
        return f"audit-{self.size}"

    def begin(self, server: Server) -> None:
        """Have a row made."""
        server.ask(server.token, FORM)

    def pour(self, data: Path, made: None) -> dict[str, Any]:
        """Write copies of the newest row, each linked to the one before."""
        with writing(data) as connection:
            connection.row_factory = sqlite3.Row
            template = dict(connection.execute(_NEWEST_TOKEN).fetchone())
            connection.row_factory = None
            columns = [name for name in template if name != "id"]
            if self.size:
                connection.execute("BEGIN")
            text = f"INSERT INTO audit ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608
            # The newest time in a trail must be a recent one: a longer gap looks like a clock that was set.
            end = micros(datetime.now(UTC)) - MINUTE
            for number, begin in enumerate(range(0, self.size, CHAIN_ROWS)):
                times = self._times(end, begin)
                chain = f"{end:016x}{number:016x}"
                (chain_id,) = connection.execute(
                    "INSERT INTO audit_chain (chain, started_at) VALUES (?, ?) RETURNING id",
                    (chain, times[0]),
                ).fetchone()
                connection.executemany(text, _linked(template, columns, chain, chain_id, times))
            if self.size:
                connection.execute("COMMIT")
        return {}

    def _times(self, end: int, begin: int) -> list[int]:
        """Give the times of one chain's rows, evenly apart."""
        rows = range(begin, min(begin + CHAIN_ROWS, self.size))
        return [end - SPAN_DAYS * DAY * (self.size - number) // self.size for number in rows]


def _linked(
    template: Mapping[str, Any], columns: list[str], chain: str, chain_id: int, times: list[int]
) -> Iterator[tuple[Any, ...]]:
    """Give rows that the product's own ``link`` has linked; all but times and names are the template's."""
    details = msgspec.json.decode(template["details"])
    same = {name: template[name] for name in ("kind", "actor", "outcome", "organisation_id", "reason")}
    values = [{**template, "chain_id": chain_id}[each] for each in columns]
    own = ("seq", "at", "request_id", "subject", "prev_hash", "row_hash")
    seq, when, request, subject, before, digest = map(columns.index, own)
    tail = Tail(chain)
    for at in times:
        name = f"{at // MILLISECOND:012x}"
        request_id = f"{name[:8]}-{name[8:]}-7000-8000-{at % MILLISECOND:012x}"
        event = AuditEvent(at=instant(at), request_id=request_id, subject=request_id, details=details, **same)
        row = link(tail, event, template["sealed_personal"])
        tail = Tail(chain, row.seq, row.row_hash)
        values[seq], values[when], values[request], values[subject] = row.seq, at, request_id, request_id
        values[before], values[digest] = row.prev_hash, row.row_hash
        yield tuple(values)


@contextmanager
def writing(data: Path) -> Iterator[sqlite3.Connection]:
    """Give a connection that writes as fast as it can, into a store that nobody else has open."""
    with closing(sqlite3.connect(data / "keyturn.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -500000")
        yield connection
        rest(connection)
        connection.execute("PRAGMA journal_mode = WAL")


def opened(data: Path) -> Any:
    """Open the deployment of a demo that does not run, as a command does."""
    settings = load_settings(flags={"data": data, "public_url": "http://127.0.0.1"}, environ={}, demo=True)
    return open_local(settings)


def multiply(connection: sqlite3.Connection, table: str, count: int, own: Mapping[str, str]) -> None:
    """Copy the newest row of a table, each copy with values of its own in some columns.

    Args:
        own: Expressions in SQL, by column; ``i`` counts the copies from 0, ``dice`` is random digits.

    Raises:
        UnfitError: There is no row.
    """
    connection.execute("BEGIN")
    connection.execute(
        f"CREATE TEMP TABLE one AS SELECT * FROM {table} WHERE rowid = (SELECT max(rowid) FROM {table})"  # noqa: S608
    )
    if connection.execute("SELECT count(*) FROM one").fetchone() != (1,):
        raise UnfitError(f"no row of {table} was made")
    columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    shown = ", ".join(own.get(name, name) for name in columns)
    # An index is made in a fraction of the time that keeping it up row by row takes.
    indexes = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name = ?",
        (table,),
    ).fetchall()
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}")
    connection.execute(
        f"WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {count}),"  # noqa: S608
        f" r AS (SELECT i, lower(hex(randomblob(10))) AS dice FROM n WHERE {count} > 0)"
        f" INSERT INTO {table} ({', '.join(columns)}) SELECT {shown} FROM r, one"
    )
    for _, made in indexes:
        connection.execute(made)
    connection.execute("DROP TABLE one")
    connection.execute("COMMIT")


def _spread(count: int, over_micros: int) -> str:
    """Give a time for each copy in SQL, in no order, as an index meets them."""
    return f"(i * 7919 % {max(count, 1)}) * {over_micros} / {max(count, 1)}"


def _uuid7(milliseconds: str) -> str:
    return _UUID7.format(milliseconds, "dice")
