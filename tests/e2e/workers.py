"""The workers of a running server, each by its process and by a connection of its own."""

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import jwt

from e2e.servers import Caller, Client, Node, ask, within

Connections = list[list[Caller]]
"""Of each worker, those that it serves."""
TRIES = 100
"""So many land on one worker of two as often as a coin shows heads so many times."""


def pids(node: Node) -> list[int]:
    """Give the process ids of a server's workers that live."""
    number = node.process.pid
    try:
        children = Path(f"/proc/{number}/task/{number}/children").read_text().split()
    except FileNotFoundError:
        return []
    return [int(child) for child in children if lives(int(child))]


def lives(pid: int) -> bool:
    """Tell whether a process is there and has not ended; whose child it is decides when it goes."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


Rows = Callable[[str], list[tuple[Any, ...]]]
"""Asks a database from outside."""


def chain_of(node: Node, token: str, rows: Rows | None = None) -> int:
    """Name the audit chain of a token: each process that writes has one of its own."""
    jti = UUID(jwt.decode(token, options={"verify_signature": False})["jti"])
    ((chain,),) = (rows or partial(table, node))(
        f"SELECT chain_id FROM audit WHERE kind = 'token.issued' AND subject = '{jti}'"  # noqa: S608  # a UUID
    )
    return chain


def table(node: Node, query: str, *values: str) -> list[tuple]:
    """Ask the database from outside."""
    with closing(sqlite3.connect(node.data / "keyturn.db")) as store:
        return store.execute(query, values).fetchall()


@contextmanager
def each_worker(
    node: Node, client: Client, *, count: int = 2, width: int = 1, rows: Rows | None = None
) -> Iterator[Connections]:
    """Give kept connections to each of a server's workers, ``width`` to each.

    Args:
        rows: Asks its database, where that is no file.
    """
    found: dict[int, list[Caller]] = {}
    opened: list[Caller] = []
    try:
        for _ in range(TRIES):
            caller = Caller(node.url)
            opened.append(caller)
            answer = client.post(caller)
            assert answer.status == 200, answer
            found.setdefault(chain_of(node, answer.json["access_token"], rows), []).append(caller)
            if len(found) == count and all(len(callers) >= width for callers in found.values()):
                break
        assert len(found) == count, f"{len(found)} workers answered on {len(opened)} connections"
        yield [callers[:width] for callers in found.values()]
    finally:
        for caller in opened:
            caller.close()


def figures(node: Node) -> dict[str, float]:
    """Read ``/metrics`` by a new connection, so from any worker: what is not there is 0."""
    lines = ask(f"{node.management}/metrics").body.decode().splitlines()
    pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return defaultdict(float, {name: float(value) for name, _, value in pairs})


def descriptors(pid: int) -> int:
    """Count a process's open files."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def replaced(node: Node, before: list[int], seconds: float = 20.0) -> None:
    """Wait until somebody has taken a dead worker's place and serves."""
    within(seconds, lambda: len(pids(node)) == len(before) and set(pids(node)) != set(before))
    within(seconds, lambda: figures(node)["keyturn_workers"] == len(before))
