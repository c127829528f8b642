"""What workers know of one another's connections: a row for each, in memory that they share."""

import os

from keyturn.web.framing import ProtocolLimits, Shared
from keyturn.web.holders import Holders

ONE, OTHER = "192.0.2.1", "2001:db8::/64"


def workers(count, limit):
    """Make what workers of one command share, with a limit for an address."""
    holders = Holders(count)
    made = [Shared(ProtocolLimits(connections_per_address=limit), print) for _ in range(count)]
    for number, shared in enumerate(made):
        shared.others = holders.row(number)
    return holders, made


def test_the_limit_is_of_all_workers():
    """HT-05: an address holds as many connections at all workers together as it would hold at one."""
    _, (first, second) = workers(2, 3)
    assert [each.take(ONE) for each in (first, second, first)] == [None] * 3
    assert first.take(ONE) == second.take(ONE) == "address_full"
    assert second.take(OTHER) is None
    first.leave(ONE)
    assert second.take(ONE) is None
    assert first.take(ONE) == "address_full"


def test_what_a_dead_worker_held_is_forgotten():
    """RE-01: whoever takes a dead worker's place begins with no connections, and the others see that."""
    holders, (first, second) = workers(2, 1)
    assert first.take(ONE) is None
    assert second.take(ONE) == "address_full"
    holders.row(0)
    assert second.take(ONE) is None


def test_processes_see_one_another():
    """HT-05: what a forked worker holds its parent sees, by the same address."""
    holders = Holders(2)
    mine = holders.row(1)
    child = os.fork()
    if not child:
        holders.row(0).count(ONE, 1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert mine.elsewhere(ONE) == 1
