"""Nodes that are killed under load, one after the other, while the other goes on (RE-01, RE-02)."""

import random
import signal
import time
from contextlib import ExitStack

import pytest

from e2e.lives import living
from e2e.nodes import deploy
from e2e.servers import Caller, within

BEGIN_SECONDS = 30.0
KILLS = pytest.mark.parametrize("kills", [2, pytest.param(60, marks=pytest.mark.soak)], ids=["some", "many"])


@KILLS
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_nothing_is_lost_with_a_node(store, tmp_path, kills):
    """RE-01 and RE-02: what nodes answered that are killed -9 again and again is so, and nothing revives."""
    dice = random.Random(kills)  # noqa: S311  # a test repeats itself
    here = deploy(tmp_path, store())
    with ExitStack() as stack:
        nodes = [stack.enter_context(here.node()) for _ in range(2)]
        ports = [node.url.rpartition(":")[2] for node in nodes]
        with living(here, nodes) as crowd:
            within(BEGIN_SECONDS, lambda: crowd.has_begun)
            for number in range(kills):
                time.sleep(dice.uniform(0.2, 1.0))
                killed = number % 2
                assert nodes[killed].stop(signal.SIGKILL) == -signal.SIGKILL
                time.sleep(dice.uniform(0.0, 0.5))
                nodes[killed] = stack.enter_context(here.node("--port", ports[killed]))
            again = time.monotonic()
            time.sleep(1.0)
        assert crowd.statuses().keys() <= {200, 503}
        assert set(crowd.statuses(since=again)) == {200}
        with Caller(nodes[kills % 2].url) as caller:
            crowd.nothing_is_lost(here.asker(caller))
        assert here.is_intact()
