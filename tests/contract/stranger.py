"""Somebody else at a store's database: a backup, a shell, or a node that hangs in the middle of its turn."""

import sqlite3
from typing import Any

_PARTS = (1, 2, 3)
"""Writers, limits, lockout: what ``postgres_ground`` locks one by one."""


class Stranger:
    """A connection that knows nothing of the store's code; a context manager.

    Args:
        place: A SQLite file's path, or a PostgreSQL URL.
    """

    def __init__(self, place):
        self._is_file = not str(place).startswith("postgresql://")
        if self._is_file:
            self._connection: Any = sqlite3.connect(place, isolation_level=None, timeout=5)
        else:
            import psycopg

            self._connection = psycopg.connect(place, autocommit=True)

    def say(self, *statements):
        """Run statements; gives the rows of the last one."""
        for statement in statements[:-1]:
            self._connection.execute(statement)
        cursor = self._connection.execute(statements[-1])
        return cursor.fetchall() if cursor.description else []

    def begin(self):
        """Keep every writer of the store out."""
        if self._is_file:
            self.say("BEGIN IMMEDIATE")
        else:
            from keyturn.storage.postgres_ground import LOCK_SPACE

            self.say("BEGIN", *(f"SELECT pg_advisory_xact_lock({LOCK_SPACE}, {part})" for part in _PARTS))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._connection.close()
