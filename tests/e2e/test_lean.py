"""What a process loads: a server nothing that only others need, a command nothing that only servers need."""

import sys

import pytest

from e2e.servers import run, serving, told

WATCH = """
import atexit, runpy, sys
sys.argv = sys.argv[1:]
atexit.register(lambda: print("loaded", *sys.modules, file=sys.stderr))
runpy.run_path(sys.argv[0], run_name="__main__")
"""
OF_OTHERS = {
    "alembic",
    "argon2",
    "dotenv",
    "joserfc",
    "mako",
    "opentelemetry",
    "prometheus_client",
    "pydantic_settings",
    "rich",
}
"""Each costs a megabyte or more, or tenths of a second; argon2 comes with the first password,
prometheus_client with the first who looks at the metrics."""
OF_COMMAND_LINES = {
    "difflib",
    "keyturn.cli.root",
    "keyturn.config",
    "pydantic",
    "pydantic_core",
    "tomllib",
    "typer",
}
"""What reads `serve`'s words and checks settings: a child's, which is gone when the server serves."""
OF_TESTS = {"ctypes", "keyturn.storage.memory"}
"""What a server of SQLite or PostgreSQL has no use for; ctypes comes with a PKCS#11 token."""
OF_DOCUMENTS = {"keyturn.wire.json_schemas", "keyturn.wire.openapi", "keyturn.wire.postman"}
OF_SERVERS = {"httptools", "keyturn.web", "structlog", "uvicorn", "uvloop"}
OF_STORES = {"keyturn.storage", "sqlalchemy", "sqlite3"}


@pytest.fixture
def wrapper(tmp_path):
    """What stands before a command and lets it name, as it ends, the modules that it loaded."""
    watch = tmp_path / "watch.py"
    watch.write_text(WATCH)
    return sys.executable, str(watch)


def loaded(text):
    """Read which modules were loaded."""
    (line,) = (line for line in text.splitlines() if line.startswith("loaded "))
    return set(line.split()[1:])


def test_a_server_loads_what_it_serves_with(tmp_path, wrapper):
    """A server that starts again and issues tokens has not loaded what migrates, paints or describes."""
    place = tmp_path / "data", tmp_path / "home"
    with serving(*place):
        pass
    with serving(*place, wrapper=wrapper) as node:
        assert [node.token(dialect).status for dialect in ("oauth2", "endorsed")] == [200, 200]
        assert node.stop() == 0
    found = loaded(node.log.read_text())
    assert found >= OF_SERVERS
    assert found & (OF_OTHERS | OF_DOCUMENTS | OF_COMMAND_LINES | OF_TESTS) == set()


def test_a_command_loads_no_server(tmp_path, wrapper):
    """A command on a deployment opens its store and loads neither the web nor what migrates."""
    home, at = tmp_path / "home", ("--data", str(tmp_path / "data"))
    told(home, "init", *at)
    said = run(home, "org", "list", *at, wrapper=wrapper)
    assert said.code == 0
    found = loaded(said.err)
    assert found >= OF_STORES
    assert found & (OF_OTHERS | OF_DOCUMENTS | OF_SERVERS) == set()


@pytest.mark.parametrize("words", [["--help"], ["token", "inspect", "--help"], ["secret", "--help"]])
def test_help_loads_no_store(tmp_path, wrapper, words):
    """Help is given without a store, a server or keys."""
    said = run(tmp_path / "home", *words, wrapper=wrapper)
    assert said.code == 0
    assert loaded(said.err) & (OF_OTHERS | OF_SERVERS | OF_STORES) == set()
