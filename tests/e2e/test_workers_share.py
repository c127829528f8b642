"""Two workers of one command share what two nodes share (RE-08): the same races, one connection to each.

On PostgreSQL, where no file's lock stands between them; ``make soak`` runs them on SQLite as well.
"""

from collections import Counter
from contextlib import ExitStack

import jwt
import pytest

from e2e import test_races as races
from e2e.nodes import Starter, deploy
from e2e.servers import Caller, Client, token_path, within
from e2e.workers import TRIES, each_worker

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
KEYS = "/o/acme/.well-known/jwks.json"
TURN_SECONDS = 20.0
ROUNDS = 6
LIMIT = 2 * TRIES


@pytest.fixture(
    scope="module", params=["postgresql", pytest.param("sqlite", marks=pytest.mark.soak)], ids=str
)
def field(request, tmp_path_factory):
    """Two workers of one node, and a kept connection to each."""
    store = {}
    if request.param == "postgresql":
        store["KEYTURN_DATABASE_URL"] = request.getfixturevalue("postgres").make_database()
    here = deploy(tmp_path_factory.mktemp("workers"), store)
    members = here.members["acme"]["oauth2"]
    client = Client("oauth2", token_path("oauth2"), members["client_id"], members["client_secret"])
    with ExitStack() as stack:
        node = stack.enter_context(
            here.node("--workers", "2", KEYTURN_LIMITS__CONNECTIONS_PER_ADDRESS=str(LIMIT))
        )
        (one,), (other,) = stack.enter_context(each_worker(node, client, rows=here.rows))
        yield races.Field(here, (node, node), (one, other), stack.enter_context(Starter(2)))


def test_assertion(field):
    """TE-06 and RE-02: an assertion is good once, whichever worker sees it first."""
    races.test_assertion(field, ROUNDS)


def test_passcode(field):
    """PW-06 and RE-02: a step of a device is accepted by one of two workers, once."""
    races.test_passcode(field, ROUNDS)


def test_revocation(field):
    """RE-08 and RV-04: what one worker revokes is dead at the other one within a second."""
    races.test_revoked_here_seen_there(field, "access_token", ROUNDS)


def test_lockout(field):
    """PW-05 and RL-01: guesses at both workers at once count together."""
    races.test_lockout_is_shared(field)


def test_connections_are_counted_together(field):
    """HT-05: one address has no more connections at all workers together than the limit says."""
    with ExitStack() as crowd:
        callers = [crowd.enter_context(Caller(field.nodes[0].url)) for _ in range(LIMIT + 40)]
        statuses = Counter(caller.ask("GET", KEYS, "", {}).status for caller in callers)
    assert set(statuses) == {200, 503}
    assert LIMIT / 2 < statuses[200] <= LIMIT


def test_keys_turn_for_both(field):
    """TK-14: after a rotation both workers sign with the new key, which by then both key sets have."""
    (turned,) = field.here.told("keys", "rotate", "--org", "acme")
    within(TURN_SECONDS, lambda: signed_by(field) == {turned["key_id"]})


def signed_by(field):
    """Name the keys that workers sign with now, each of which must be in the other one's set."""
    used = set()
    for asker, other in zip(field.askers(), reversed(field.callers), strict=True):
        kid = jwt.get_unverified_header(asker.begin()["access_token"])["kid"]
        assert kid in {key["kid"] for key in other.ask("GET", KEYS, "", {}).json["keys"]}
        used.add(kid)
    return used
