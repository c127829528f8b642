"""A PostgreSQL URL: what libpq is told, and what may be said of it. The password is in the first only."""

from typing import Any

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from keyturn.core.errors import ConfigError

CONNECT_SECONDS = 3
"""How long one host may take to let us in."""
SILENCE_SECONDS = 5
"""How long a connection may be dead before the system notices."""

_UNLESS_SAID = {
    "connect_timeout": CONNECT_SECONDS,
    "tcp_user_timeout": SILENCE_SECONDS * 1000,
    "keepalives_idle": SILENCE_SECONDS,
    "keepalives_interval": 1,
    "keepalives_count": 3,
    "gssencmode": "disable",
    "target_session_attrs": "read-write",  # of a standby, what was revoked since would be unknown (RV-02)
    "application_name": "keyturn",
}
"""What a URL need not say. None of it is a setting of the session, which a pooler would not keep."""


_NO_URL = "store: not a PostgreSQL URL: postgresql://user:password@host:5432/database"


class PostgresPlace:
    """Where a database is.

    Args:
        url: As libpq reads it.

    Raises:
        ConfigError: It is no such URL, or names no database.
    """

    def __init__(self, url: str) -> None:
        try:
            said = conninfo_to_dict(url)
        except ProgrammingError:
            # The driver's words would quote the URL, and with it the password.
            raise ConfigError([_NO_URL]) from None
        ports = str(said.get("port") or "").split(",")
        if not all(port.isdecimal() for port in ports if port):
            raise ConfigError([_NO_URL])
        if not said.get("dbname"):
            raise ConfigError(["store: the PostgreSQL URL names no database"])
        self.parameters: dict[str, Any] = {**_UNLESS_SAID, **said, "client_encoding": "UTF8"}
        self.name = f"postgresql://{_hosts(said)}/{said['dbname']}"


def _hosts(said: dict[str, Any]) -> str:
    """Name the hosts with their ports; one port may be said for all of them."""
    hosts = str(said.get("host") or said.get("hostaddr") or "").split(",")
    ports = str(said.get("port") or "").split(",")
    if len(ports) != len(hosts):
        ports = ports[:1] * len(hosts)
    return ",".join(f"{host}:{port}" if port else host for host, port in zip(hosts, ports, strict=True))
