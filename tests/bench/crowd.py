"""Many clients in one database, by copying rows: the verbs of an operator would take an hour for a million.

Which columns a row has is asked of the database, so a new one changes nothing here.
"""

import asyncio
import hashlib
import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from keyturn.app import open_local
from keyturn.config import load_settings
from keyturn.core.identifiers import uuid7
from keyturn.core.ports import Digester

SAMPLE = 4096
"""How many of the clients the load draws from: far more than a cache of hot ones would hold by chance."""
BATCH = 20_000


def invite(data: Path, count: int) -> tuple[tuple[str, str], ...]:
    """Give a demo that does not run ``count`` further clients with a secret each.

    Returns:
        Name and secret of some of them, evenly spread over all.
    """
    digester = asyncio.run(_digester(data))
    with closing(sqlite3.connect(data / "keyturn.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA cache_size = -500000")
        connection.execute("BEGIN IMMEDIATE")
        # An index is made in a fraction of the time that keeping it up row by row takes.
        indexes = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
            " AND tbl_name IN ('client', 'credential')"
        ).fetchall()
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}")
        found = _copy(connection, digester, count)
        for _, made in indexes:
            connection.execute(made)
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return found


async def _digester(data: Path) -> Digester:
    settings = load_settings(flags={"data": data, "public_url": "http://127.0.0.1"}, environ={}, demo=True)
    async with open_local(settings) as local:
        return local.digester


def _copy(connection: sqlite3.Connection, digester: Digester, count: int) -> tuple[tuple[str, str], ...]:
    ((client, secret),) = connection.execute(
        "SELECT client.id, credential.id FROM client JOIN credential ON credential.owner_id = client.id"
        " WHERE client.name = 'oauth2 demo' AND credential.kind = 'client_secret'"
        " ORDER BY client.created_at LIMIT 1"
    )
    # Names rise with time, as those of clients that were made one after the other do.
    kept, step, first = [], max(1, count // SAMPLE), datetime.now(UTC) - timedelta(milliseconds=count)
    for begin in range(0, count, BATCH):
        batch = [
            (uuid7(first + timedelta(milliseconds=number), os.urandom), f"bench-{os.urandom(24).hex()}")
            for number in range(begin, min(begin + BATCH, count))
        ]
        _insert(connection, "client", client, [{"id": name} for name, _ in batch])
        secrets = [
            {"id": name, "owner_id": name, "lookup_hash": _digest(digester, text)} for name, text in batch
        ]
        _insert(connection, "credential", secret, secrets)
        kept += batch[::step]
    return tuple(kept)


def _digest(digester: Digester, text: str) -> bytes:
    return digester.lookup_hash(hashlib.sha256(text.encode()).digest(), digester.current_pepper_id)


def _insert(
    connection: sqlite3.Connection, table: str, template: str, rows: list[dict[str, str | bytes]]
) -> None:
    """Insert copies of a row, each with its own values in some columns."""
    columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    own = rows[0].keys()
    shown = ", ".join(f":{name}" if name in own else name for name in columns)
    connection.executemany(
        f"INSERT INTO {table} ({', '.join(columns)}) SELECT {shown} FROM {table} WHERE id = :template",  # noqa: S608
        [{**row, "template": template} for row in rows],
    )
