"""The set of what was revoked, when there is a lot of it: read in pages, forgotten a few at a time."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from ground import HandClock
from keyturn.core.errors import Unavailable
from keyturn.core.vocabulary import Reason
from keyturn.storage import revocations
from keyturn.storage.feed import Confirmation, News, Point
from keyturn.storage.revocations import FORGOTTEN_AT_ONCE, KEPT_AFTER_EXPIRY, PAGE, RevocationSet
from keyturn.storage.schema import micros

NOW = datetime(2026, 7, 1, 12, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Pages:
    """Answers as a store does, and tells how many rows anybody wanted at once."""

    def __init__(self, count=0, until=NOW):
        self.rows = {f"token-{number:08}": until for number in range(count)}
        self.wanted = []
        self.meanwhile = None

    async def revocations(self, after, limit):
        self.wanted.append(limit)
        if self.meanwhile is not None and after:
            self.meanwhile()
            self.meanwhile = None
        found = sorted(name for name in self.rows if name > after)[:limit]
        return [(name, micros(self.rows[name])) for name in found]


def made(pages):
    """Give a set and its feed."""
    feed = Confirmation(HandClock())
    return RevocationSet(pages, feed), feed


async def eventually(condition):
    """Let the loop go on until something is so; a thousand turns are far more than it takes."""
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError


async def test_more_than_one_page_is_read_whole():
    """RV-02: however many there are, each is found, and no question asks for more than a page."""
    pages = Pages(2 * PAGE + 1)
    found, _ = made(pages)
    await found.load()
    assert len(found) == 2 * PAGE + 1
    assert all(found.covers(name, None) for name in (f"token-{2 * PAGE:08}", "token-00000000"))
    assert found.covers("another", f"token-{PAGE:08}")
    assert set(pages.wanted) == {PAGE}


async def test_nothing_is_answered_until_the_last_page_is_there():
    """RV-02: half of the set would make dead tokens live, so there is no answer before the end."""
    pages = Pages(PAGE + 1)
    found, _ = made(pages)

    def ask():
        with pytest.raises(Unavailable) as refused:
            found.covers("token-00000000", None)
        assert refused.value.reason is Reason.CACHE_STALE
        asked.append(True)

    asked = []
    pages.meanwhile = ask
    await found.load()
    assert asked
    assert found.covers("token-00000000", None)


async def test_what_is_revoked_behind_a_page_is_heard_of():
    """RV-02: a revocation whose place was read already comes by the feed and stays."""
    pages = Pages(PAGE + 1)
    found, feed = made(pages)
    key = f"early|{(NOW + HOUR).isoformat()}"
    pages.meanwhile = lambda: feed.apply(News(Point(1), (("revocation", key),), 0.0))
    await found.load()
    assert found.covers("early", None)


async def test_a_gap_while_pages_are_read_starts_anew():
    """HT-09: what was lost with a gap may be on a page that was read before, so all are read again."""
    pages = Pages(PAGE + 1)
    found, feed = made(pages)

    def lose():
        pages.rows["a-lost-one"] = NOW
        feed.apply(News(Point(5), None, 0.0))

    pages.meanwhile = lose
    await found.load()
    with pytest.raises(Unavailable):
        found.covers("another", None)
    await eventually(lambda: found._complete)
    assert found.covers("a-lost-one", None)


async def test_dead_entries_go_a_few_at_a_time(monkeypatch):
    """RE-07: a day after expiry entries go, in turns that stay short; others stay."""
    monkeypatch.setattr(revocations, "PAUSE_SECONDS", 0.0)
    pages = Pages(2 * FORGOTTEN_AT_ONCE + 1)
    pages.rows["living"] = NOW + 2 * HOUR
    found, _ = made(pages)
    await found.load()
    found.forget_expired(NOW + KEPT_AFTER_EXPIRY)
    assert len(found) == 2 * FORGOTTEN_AT_ONCE + 2
    found.forget_expired(NOW + KEPT_AFTER_EXPIRY + HOUR)
    assert len(found) == FORGOTTEN_AT_ONCE + 2
    await eventually(lambda: len(found) == 1)
    assert found.covers("living", None)


async def test_the_longest_of_two_expiries_counts():
    """RV-02: what is told twice is kept until the later of both."""
    found, feed = made(Pages())
    await found.load()
    for until in (NOW + 3 * HOUR, NOW):
        feed.apply(News(Point(1), (("revocation", f"twice|{until.isoformat()}"),), 0.0))
    found.forget_expired(NOW + KEPT_AFTER_EXPIRY + 2 * HOUR)
    assert found.covers("twice", None)
