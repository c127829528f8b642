"""The bench's own arithmetic and parsing, without any server."""

import os
import time

import pytest

from bench.figures import Round, Spread, Target, Verdict, advantage, quantile, table
from bench.load import BrokenAnswerError, Request, read_answer
from bench.processes import TICKS, cpu_of_ended, cpu_seconds
from bench.talks import Collect, Follow, each_once, in_turns


def measured(cpu_micros, answered=1000):
    return Round(answered=answered, refused=0, seconds=1.0, cpu_seconds=cpu_micros * answered / 1e6)


def test_round_divides_by_what_was_answered():
    """Rate, processor time and idleness follow from the counts of one window."""
    found = Round(answered=400, refused=9, seconds=2.0, cpu_seconds=0.1)
    assert (found.rate, found.busy) == (200.0, 0.05)
    assert found.cpu_micros == pytest.approx(250.0)


def test_round_without_an_answer_costs_infinitely_much():
    """A server that answers nothing never looks cheap."""
    assert Round(answered=0, refused=5, seconds=1.0, cpu_seconds=0.5).cpu_micros == float("inf")


def test_spread_is_a_median_and_the_quartiles():
    """One wild round moves nothing."""
    spread = Spread.of([10, 13, 12, 11, 1000])
    assert (spread.middle, spread.low, spread.high) == (12, 11, 13)
    assert spread.percent == pytest.approx(16.7, abs=0.1)


def test_advantage_compares_neighbours_in_time():
    """Noise that hits both sides of a round alike leaves the ratio alone."""
    ours = [measured(100), measured(200), measured(100)]
    theirs = [measured(300), measured(600), measured(310)]
    found = advantage(ours, theirs)
    assert found.middle == pytest.approx(3.0)
    assert found.high == pytest.approx(3.1)


def test_advantage_leaves_out_a_round_without_processor_time():
    """A round that was over within a tick of the clock tells nothing, and stops no report."""
    ours, theirs = [measured(0), measured(100)], [measured(300), measured(250)]
    assert advantage(ours, theirs).middle == pytest.approx(2.5)


@pytest.mark.parametrize(("share", "value"), [(0.0, 1), (0.25, 1), (0.5, 2), (0.51, 3), (0.99, 4), (1.0, 4)])
def test_quantile_is_a_value_that_was_seen(share, value):
    """A quantile is the smallest value that enough others do not exceed."""
    assert quantile([4, 1, 3, 2], share) == value


def test_target_tells_met_from_missed_at_the_bar():
    """A bar that is just reached is met, in both directions."""
    up = Target("speed", (("must", 3.0), ("moonshot", 5.0)))
    down = Target("memory", (("must", 80.0),), least=False)
    assert [met for *_, met in up.met(3.0)] == [True, False]
    assert [met for *_, met in down.met(80.0)] == [True]
    assert "moonshot 5: MISSED" in Verdict(up, Spread.of([3.0])).line()


def test_table_aligns_its_columns():
    """Names stand to the left, figures to the right."""
    assert table([("", "n"), ("long name", "7"), ("x", "1,000")]) == (
        "               n\nlong name      7\nx          1,000"
    )


def test_stat_line_is_read_from_behind_the_name():
    """A process may call itself anything, digits and parentheses included."""
    line = "42 (a) 7 (b c) S 1 42 42 0 -1 4194560 900 0 0 0 150 50 7 3 20 0 5 0 100 200 300"
    assert cpu_of_ended(line) == pytest.approx(10 / TICKS)


def test_processor_time_is_told_finer_than_proc_counts_it():
    """What a process says of itself is told, and less than a hundredth of a second of it."""
    before, mine = cpu_seconds(os.getpid()), time.process_time()
    while time.process_time() - mine < 0.4 / TICKS:
        pass
    assert cpu_seconds(os.getpid()) - before >= 0.4 / TICKS


def test_answer_is_read_once_it_is_whole():
    """Every cut of an answer is waited for, and what follows it is left alone."""
    whole = b"HTTP/1.1 200 OK\r\nCONTENT-LENGTH: 2\r\nX: y\r\n\r\nok"
    assert all(read_answer(whole[:cut]) is None for cut in range(len(whole)))
    answer = read_answer(whole + b"HTTP/1.1 500")
    assert (answer.status, answer.body, answer.size) == (200, b"ok", len(whole))


def test_answer_without_a_length_is_told():
    """An answer whose end cannot be known stops the run instead of hanging it."""
    with pytest.raises(BrokenAnswerError):
        read_answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")


def test_request_says_its_length_and_host():
    """The bytes that are sent are one well-formed request."""
    request = Request.form("http://127.0.0.1:9/token", "a=b", ("Authorization: Basic eA==",))
    head, _, body = request.raw.partition(b"\r\n\r\n")
    assert (request.host, request.port, body) == ("127.0.0.1", 9, b"a=b")
    assert head.startswith(b"POST /token HTTP/1.1\r\nHost: 127.0.0.1:9\r\n")
    assert head.endswith(b"\r\nAuthorization: Basic eA==\r\nContent-Length: 3")


def test_a_refresh_token_is_followed_by_its_successor():
    """Each refresh presents what the last answer gave, and after a refusal the same again."""
    talk = Follow("first", str.encode)
    said = [talk.next(None), talk.next(b'{"refresh_token": "second"}'), talk.next(b'{"error": "x"}')]
    assert said == [b"first", b"second", b"second"]


def test_connections_share_a_heap():
    """What is used up is sent once by whichever connection comes next; what is not begins again."""
    once, again = each_once([b"1", b"2", b"3"], 2), in_turns([b"1", b"2", b"3"], 2)
    order = [0, 1, 1, 0]
    assert [once[place].next(None) for place in order] == [b"1", b"2", b"3", None]
    assert [again[place].next(None) for place in order] == [b"1", b"2", b"3", b"1"]


def test_collecting_ends_with_enough():
    """Connections stop asking once they have enough bodies together."""
    bodies = []
    one, other = (Collect(b"ask", 2, bodies) for _ in range(2))
    assert [one.next(None), other.next(None), one.next(b"1"), other.next(b"2")] == [b"ask"] * 3 + [None]
    assert bodies == [b"1", b"2"]
