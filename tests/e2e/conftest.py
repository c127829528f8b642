"""One demo for the whole session: most tests only ask it something."""

from collections.abc import Callable, Iterator

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
