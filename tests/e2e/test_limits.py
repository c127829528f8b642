"""Limits over HTTP, shared by two servers on one folder, and what a flood leaves in the audit trail."""

import sqlite3
from contextlib import closing

import pytest

from e2e.nodes import deploy
from e2e.servers import Caller

GRANT = "client_credentials"
LIMITED = {
    "KEYTURN_LIMITS__CLIENT__PER_MINUTE": "60",
    "KEYTURN_LIMITS__CLIENT__BURST": "10",
}
LEASED = {
    "KEYTURN_LIMITS__CLIENT__PER_MINUTE": "600",
    "KEYTURN_LIMITS__CLIENT__BURST": "40",
}


def table(data, query):
    """Ask the database from outside."""
    with closing(sqlite3.connect(data / "keyturn.db")) as store:
        return store.execute(query).fetchall()


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("limits", [LIMITED, LEASED], ids=["counted", "leased"])
def test_two_servers_share_a_limit(store, tmp_path, limits):
    """RE-08 and RL-01: two servers on one store admit a client what one would, give or take a tenth."""
    here = deploy(tmp_path, store())
    per_minute, burst = map(int, limits.values())
    with here.two_nodes(**limits) as (first, second), Caller(first.url) as one, Caller(second.url) as two:
        answers = []
        for _ in range(3 * burst):
            answers += [here.asker(caller).post("token", grant_type=GRANT) for caller in (one, two)]
        took = sum(answer.seconds for answer in answers)
        admitted = [answer for answer in answers if answer.status == 200]
        refused = [answer for answer in answers if answer.status == 429]
        assert len(admitted) + len(refused) == len(answers)
        assert burst <= len(admitted) <= 1.1 * (burst + per_minute * (took + 1) / 60)
        assert int(refused[-1].headers["retry-after"]) >= 1
        assert refused[-1].headers["ratelimit"].startswith('"client";r=0;t=')
        assert refused[-1].headers["ratelimit-policy"] == f'"client";q={per_minute};w=60'
        assert here.asker(two, "globex").post("token", grant_type=GRANT).status == 200


@pytest.mark.slow
def test_a_flood_is_summarised_at_shutdown(tmp_path, new_demo):
    """AD-05 and RE-03: a server that is told to stop writes the summary of refusals that were folded."""
    data = tmp_path / "data"
    with new_demo(tmp_path) as node:
        with Caller(node.url) as caller:
            client = node.client("oauth2")
            assert {client.post(caller, client_secret="wrong").status for _ in range(50)} == {401}
        assert table(data, "SELECT count(*) FROM audit WHERE kind = 'token.refused'") == [(20,)]
        assert node.stop() == 0
    ((count,),) = table(
        data, "SELECT json_extract(details, '$.count') FROM audit WHERE kind = 'token.refused.summary'"
    )
    assert count == "30"
