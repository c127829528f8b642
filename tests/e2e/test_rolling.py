"""Two nodes behind a balancer, replaced one after the other while callers ask for tokens."""

import contextlib

import pytest

from e2e.balancer import balancing
from e2e.load import under_load
from e2e.servers import serving, told, within


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_rolling_restart(tmp_path, workers):
    """RE-03 and RE-04: two nodes are restarted in turn under load, and no caller sees an error."""
    data, home = tmp_path / "data", tmp_path / "home"
    with balancing() as balancer, contextlib.ExitStack() as running:
        flags = ("--public-url", balancer.url, "--workers", workers)

        def start(*, demo=False):
            return running.enter_context(serving(data, home, *flags, demo=demo))

        nodes = [start(demo=True), start()]
        client = nodes[0].client("oauth2")
        balancer.nodes = nodes
        within(10.0, lambda: balancer.sees(*nodes))
        with under_load(balancer.url, client, 8, kept=False) as load:
            for number in (0, 1):
                grows(load)
                assert nodes[number].stop() == 0
                grows(load)
                nodes[number] = start()
                balancer.nodes = list(nodes)
                within(10.0, lambda: balancer.sees(*nodes))
            grows(load)
        assert set(load.statuses) == {200}
        assert load.broken == []
        assert load.refused == 0
    assert told(home, "audit", "verify", "--data", str(data))["intact"]


def grows(load):
    """Wait until a good number of further requests has been answered."""
    before = len(load.answers)
    within(20.0, lambda: len(load.answers) >= before + 40)
