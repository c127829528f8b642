"""One demo for the whole session: most tests only ask it something."""

from collections.abc import Iterator

import pytest

from e2e.servers import Caller, Node, serving

DIALECTS = ("oauth2", "endorsed")


@pytest.fixture(scope="session")
def demo(tmp_path_factory) -> Iterator[Node]:
    """A running demo; tests leave it as it is."""
    folder = tmp_path_factory.mktemp("demo")
    with serving(folder / "data", folder / "home") as node:
        yield node


@pytest.fixture(scope="module")
def changing(tmp_path_factory) -> Iterator[Node]:
    """A running demo of one file, whose tests may change what is in it: once each."""
    folder = tmp_path_factory.mktemp("changing")
    with serving(folder / "data", folder / "home") as node:
        yield node


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def store(request) -> Iterator[dict[str, str]]:
    """The settings that name a store of each kind, for all tests of a file."""
    if request.param == "sqlite":
        yield {}
        return
    server = request.getfixturevalue("postgres")
    url = server.make_database()
    yield {"KEYTURN_DATABASE_URL": url}
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
