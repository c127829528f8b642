"""A machine's clock that is set while a node runs on it (RE-07, HT-09)."""

from datetime import timedelta
from functools import partial

import pytest

from e2e.nodes import deploy
from e2e.servers import Caller, within
from e2e.shifted import shift

HOUR = timedelta(hours=1)
LOOKS_SECONDS = 15.0
"""A node looks at the clock every five seconds; this one shares its machine with other tests."""
DOCUMENTS = ("/o/acme/.well-known/jwks.json", "/.well-known/oauth-authorization-server/o/acme")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def here(store, tmp_path_factory):
    """A deployment on each store."""
    return deploy(tmp_path_factory.mktemp("clocks"), store())


@pytest.fixture
def clock(here):
    """The clock of a machine, right until a test sets it."""
    with shift(here.home / "clock") as machine:
        machine.set(timedelta(0))
        yield machine


def issues(asker):
    """Tell whether a token is issued; a refusal must say that it is for now."""
    answer = asker.post("token", grant_type="client_credentials")
    if answer.status == 200:
        return True
    assert answer.status == 503
    assert int(answer.headers["retry-after"]) >= 1
    return False


def test_an_hour_forward_and_back(here, clock):
    """RE-07: forward nothing stops; back from there nothing is issued or revived; keys and health go on."""
    with here.node(wrapper=clock.wrapper) as node, Caller(node.url) as caller:
        asker = here.asker(caller)
        old = asker.begin()
        used = asker.begin()["refresh_token"]
        assert asker.renew(used).status == 200
        clock.set(HOUR)
        assert issues(asker)
        assert not asker.active(old["access_token"])
        fresh = asker.begin()
        assert asker.active(fresh["access_token"])
        assert asker.renew(used).status == 400
        within(LOOKS_SECONDS, partial(said, node, "the clock was set forward"))
        clock.set(timedelta(0))
        for _ in range(3):
            assert not issues(asker)
            assert asker.renew(old["refresh_token"]).status == 503
            assert not asker.active(old["access_token"])
            assert asker.active(fresh["access_token"])
            assert [node.ask("GET", path).status for path in DOCUMENTS] == [200, 200]
            assert node.health("live") == 200
        within(LOOKS_SECONDS, partial(said, node, "the clock was set back"))
        clock.set(HOUR)
        within(LOOKS_SECONDS, partial(issues, asker))
        assert asker.renew(old["refresh_token"]).status == 200


def said(node, words):
    """Tell whether the log has a line with some words."""
    return any(words in line["event"] for line in node.events())


def test_an_hour_back_is_accepted(here, clock):
    """RE-07: a clock that is an hour back issues again once an operator accepts it, and spent stays spent."""
    clock.set(2 * HOUR)
    with here.node(wrapper=clock.wrapper) as node, Caller(node.url) as caller:
        asker = here.asker(caller)
        used = asker.begin()["refresh_token"]
        latest = asker.renew(used).json
        assert asker.renew(latest["refresh_token"]).status == 200
        revoked = asker.begin()
        assert asker.post("revoke", token=revoked["access_token"]).status == 200
        clock.set(HOUR)
        assert not issues(asker)
        accepted = here.run("clock", "accept", wrapper=clock.wrapper)
        assert accepted.code == 0, accepted.err
        within(LOOKS_SECONDS, partial(issues, asker))
        assert asker.renew(used).status == 400
        assert asker.renew(latest["refresh_token"]).status == 400
        assert not asker.active(revoked["access_token"])


def test_another_node_sees_a_clock_that_was_set_back(here, clock):
    """HT-09: a node whose clock is an hour behind the other's issues nothing, and says so; the other does."""
    clock.set(3 * HOUR)
    with (
        here.node(wrapper=clock.wrapper) as right,
        here.node() as behind,
        Caller(right.url) as one,
        Caller(behind.url) as two,
    ):
        assert issues(here.asker(one))
        within(LOOKS_SECONDS, lambda: not issues(here.asker(two)))
        assert issues(here.asker(one))
        within(LOOKS_SECONDS, partial(said, behind, "nothing is issued: the clock is behind"))
