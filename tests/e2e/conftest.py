"""One demo for the whole session: most tests only ask it something."""

import contextlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from e2e.once import once
from e2e.servers import Caller, Node, serving
from ports import free_ports

DIALECTS = ("oauth2", "endorsed")


@pytest.fixture(scope="session")
def new_demo(session_folder) -> Callable[..., AbstractContextManager[Node]]:
    """Serve a demo of one's own in a folder, made like every other: seeding it costs more than all the rest.

    Whoever wants one that was never served, whose key sets nobody may have cached, or credentials that no
    other demo has, says ``serving``.
    """

    def make() -> str:
        with serving(kept / "data", kept / "home", warm=True):
            return ""

    @contextlib.contextmanager
    def serve(folder: Path, environ: Mapping[str, str] = {}) -> Iterator[Node]:
        once(kept, "", make)
        shutil.copytree(kept / "data", folder / "data")
        (port,) = free_ports()
        where = ("--port", port, "--public-url", f"http://127.0.0.1:{port}")  # or it keeps what it had
        with serving(folder / "data", folder / "home", *where, environ=environ, warm=True) as node:
            yield node

    kept = session_folder / "made_demo"
    return serve


@pytest.fixture(scope="session")
def demo(tmp_path_factory, new_demo) -> Iterator[Node]:
    """A running demo; tests leave it as it is."""
    with new_demo(tmp_path_factory.mktemp("demo")) as node:
        yield node


@pytest.fixture(scope="module")
def changing(tmp_path_factory, new_demo) -> Iterator[Node]:
    """A running demo of one file, whose tests may change what is in it: once each."""
    with new_demo(tmp_path_factory.mktemp("changing")) as node:
        yield node


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def store(request) -> Iterator[Callable[[], dict[str, str]]]:
    """Give the settings that name a store of each kind, an empty one each time."""
    if request.param == "sqlite":
        yield dict
        return
    server, urls = request.getfixturevalue("postgres"), []

    def make() -> dict[str, str]:
        urls.append(server.make_database())
        return {"KEYTURN_DATABASE_URL": urls[-1]}

    yield make
    for url in urls:
        server.drop_database(url)


@pytest.fixture
def caller(demo) -> Iterator[Caller]:
    """A kept connection to the demo."""
    with Caller(demo.url) as kept:
        yield kept


@pytest.fixture(params=DIALECTS)
def dialect(request) -> str:
    """Each dialect that a machine's secret works in."""
    return request.param
