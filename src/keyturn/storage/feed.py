"""The change feed: how every process learns within a fraction of a second what another one changed.

Each transaction that changes the directory raises the store's version by one and logs which keys it touched.
Versions of a server that took another's place say nothing of what memory holds: then it forgets everything.
A process has *applied* a version when its caches have forgotten all that was touched up to it, and *confirms*
whenever it sees that the store's version is the one it applied: by a cheap poll, or for nothing with each
group commit. Its own commits are applied before they are answered. Source: design.md section 4 (caches).
"""

import threading
from asyncio import AbstractEventLoop
from collections.abc import Callable

import msgspec
from sqlalchemy import Connection, Engine, bindparam, select

from keyturn.core.clock import Clock
from keyturn.core.errors import Unavailable
from keyturn.core.vocabulary import Reason
from keyturn.storage.causes import Complaints
from keyturn.storage.ground import BEGINNING, Ground, Point, Reading
from keyturn.storage.schema import CHANGE_LOG, FEED
from keyturn.storage.writing import let_go

POLL_SECONDS = 0.15
STALE_SECONDS = 1.0
"""Without a confirmation for that long, memory counts as stale (RE-08)."""
_STOP_SECONDS = 2.0
EVERYTHING = "*"
"""The topic (and key) of a change whose extent is not known: forget all."""

Listener = Callable[[str, str], None]

# Read in every transaction, so it goes past SQLAlchemy's statement machinery.
READ_VERSION = f"SELECT {FEED.c.version.name} FROM {FEED.name}"  # noqa: S608  # our own names

_SINCE = select(CHANGE_LOG).where(CHANGE_LOG.c.version > bindparam("after")).order_by(CHANGE_LOG.c.version)


class News(msgspec.Struct, frozen=True):
    """What happened up to a point: the touched (topic, key) pairs, or None where the log cannot tell."""

    at: Point
    touched: tuple[tuple[str, str], ...] | None
    seen_at: float


def read_news(ground: Ground, connection: Connection, after: Point, seen_at: float) -> News:
    """Read what happened since a point, inside a transaction of the caller.

    Args:
        connection: In a transaction, so that version and log belong together.
        after: What was applied so far.
        seen_at: Monotonic seconds from before the transaction began.
    """
    at = ground.point(connection)
    if at == after:
        return News(at, (), seen_at)
    if at.history != after.history:
        return News(at, None, seen_at)
    rows = connection.execute(_SINCE, {"after": after.version}).all()
    # Every version logs at least one row, so a log that does not start with the next one has been trimmed;
    # a version below ours is a restored backup.
    if at.version < after.version or not rows or rows[0].version != after.version + 1:
        return News(at, None, seen_at)
    return News(at, tuple((row.topic, row.key) for row in rows), seen_at)


class Confirmation:
    """When memory was last known to be current, and who wants to hear of changes.

    Used on the event loop, but for ``at`` and ``confirm``, which are single assignments.
    """

    def __init__(self, clock: Clock, at: Point = BEGINNING) -> None:
        self._clock = clock
        self._listeners: list[Listener] = []
        self.at = at
        self.confirmed_at = clock.monotonic()

    def on_change(self, listener: Listener) -> None:
        """Have a function called on the event loop with each (topic, key) that changed.

        ``topics.topics_of`` lists the topics; ``EVERYTHING`` may come at any time.
        """
        self._listeners.append(listener)

    def apply(self, news: News) -> None:
        """Tell every listener what changed, then count the point as applied."""
        for topic, key in ((EVERYTHING, EVERYTHING),) if news.touched is None else news.touched:
            for listener in self._listeners:
                listener(topic, key)
        # Only now: the writer trusts cached versions as soon as it reads this.
        if news.touched is None or news.at.version > self.at.version:
            self.at = news.at
        if news.at == self.at:
            self.confirm(news.seen_at)

    def confirm(self, seen_at: float) -> None:
        """Note that memory was current at a monotonic instant."""
        self.confirmed_at = max(self.confirmed_at, seen_at)

    @property
    def age_seconds(self) -> float:
        """How long ago memory was last known to be current."""
        return self._clock.monotonic() - self.confirmed_at

    def require_fresh(self) -> None:
        """Confirm that memory was current within the last second.

        Raises:
            Unavailable: It was not (Reason.CACHE_STALE).
        """
        if self._clock.monotonic() - self.confirmed_at > STALE_SECONDS:
            raise Unavailable(Reason.CACHE_STALE)


class Feed(Confirmation):
    """A confirmation that polls a SQL store from a thread of its own.

    Args:
        ground: Tells cheaply whether something may have changed.
        engine: Gives the poll its own connection.
        clock: Dates confirmations.
        loop: Where listeners are called.

    Raises:
        DBAPIError: The store cannot be read.
    """

    def __init__(self, ground: Ground, engine: Engine, clock: Clock, loop: AbstractEventLoop) -> None:
        seen_at = clock.monotonic()
        with engine.connect() as connection:
            super().__init__(clock, ground.point(connection))
        self.confirmed_at = seen_at
        self._ground = ground
        self._engine = engine
        self._complaints = Complaints(ground.name)
        self._loop = loop
        self._connection: Connection | None = None
        self._pulse: object = None
        self._seen = self.at
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keyturn-feed", daemon=True)

    def start(self) -> None:
        """Begin to poll."""
        self._thread.start()

    def stop(self) -> None:
        """Stop polling and wait until it has, a hung disk excepted; not to be called on the event loop."""
        self._stopping.set()
        self._thread.join(_STOP_SECONDS)
        if not self._thread.is_alive():
            self._drop_connection()

    @property
    def lag(self) -> int:
        """How many versions were seen that memory has not applied yet."""
        return max(0, self._seen.version - self.at.version)

    def _run(self) -> None:
        while not self._stopping.wait(POLL_SECONDS):
            try:
                self._poll()
            except Exception as error:  # noqa: BLE001  # else stale for good
                self._complaints.about(error)
                self._drop_connection()

    def _poll(self) -> None:
        seen_at = self._clock.monotonic()
        if self._connection is None:
            self._connection = self._engine.connect()
            self._pulse = None
        pulse = self._ground.pulse(self._connection)
        if pulse == self._pulse and self._seen == self.at:
            self.confirm(seen_at)
            return
        with Reading(self._ground, self._connection):
            news = read_news(self._ground, self._connection, self.at, seen_at)
        self._pulse, self._seen = pulse, news.at
        self._loop.call_soon_threadsafe(self.apply, news)

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        let_go(connection)
