"""Open a store: file, tables, feed, registry and writer put together in the one order that works."""

import asyncio
from asyncio import AbstractEventLoop
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from keyturn.core.clock import Clock
from keyturn.core.errors import Unavailable
from keyturn.core.limits import Rate
from keyturn.core.ports import Limits, Lockout, Sealer
from keyturn.core.secret import Dice
from keyturn.core.vocabulary import Reason
from keyturn.storage import migrate
from keyturn.storage.counters import SqlCounters
from keyturn.storage.feed import Feed
from keyturn.storage.ground import Ground, LogKeeper
from keyturn.storage.grounds import ground_of
from keyturn.storage.lockout import Tag
from keyturn.storage.outbox import SqlOutbox
from keyturn.storage.personal import PersonalKeys
from keyturn.storage.reads import SqlReads
from keyturn.storage.registry import CLIENT_LIMIT, CachedRegistry
from keyturn.storage.revocations import RevocationSet
from keyturn.storage.scribe import Scribe
from keyturn.storage.status_reads import SqlStatus
from keyturn.storage.stores import WideStore
from keyturn.storage.upkeep import SqlUpkeep
from keyturn.storage.writer import PATIENCE_SECONDS, GroupWriter


async def open_store(
    path_or_url: str | Path,
    sealer: Sealer,
    clock: Clock,
    dice: Dice,
    *,
    create: bool = False,
    upgrade: bool = True,
    patience_seconds: float = PATIENCE_SECONDS,
    client_limit: int = CLIENT_LIMIT,
) -> "SqlStore":
    """Open the store that a setting names, upgrading it where needed and allowed.

    Args:
        path_or_url: A file's path, ``sqlite:///`` and a path, or ``postgresql://`` as libpq reads it.
        sealer: Keeps the keys of personal audit fields.
        clock: Dates what the store itself makes, and counts patience.
        dice: Makes names, keys and nonces.
        create: Whether to make it where there is none; otherwise a wrong path would be an empty deployment.
        upgrade: Whether to bring the tables of an older store up to date; otherwise it must be current.
        patience_seconds: How long a caller waits for the store before it is told ``Unavailable``.
        client_limit: How many clients to keep in memory.

    Raises:
        ConfigError: The setting names no store that we know, or one that is not there or not current.
        Unavailable: The store cannot be reached or written now.
    """
    ground = ground_of(path_or_url)
    loop = asyncio.get_running_loop()
    opening = partial(
        _open,
        ground,
        loop,
        create=create,
        sealer=sealer,
        clock=clock,
        dice=dice,
        upgrade=upgrade,
        patience_seconds=patience_seconds,
        client_limit=client_limit,
    )
    try:
        store = await loop.run_in_executor(None, opening)
        await store.revocations.load()
    except (SQLAlchemyError, OSError) as error:
        raise Unavailable(Reason.STORE_UNAVAILABLE) from error
    return store


def _open(
    ground: Ground,
    loop: AbstractEventLoop,
    *,
    create: bool,
    sealer: Sealer,
    clock: Clock,
    dice: Dice,
    upgrade: bool,
    patience_seconds: float,
    client_limit: int,
) -> "SqlStore":
    if not create:
        ground.require()
    ground.make()
    turns = ground.turns()
    writing, reading = ground.writing_engine(), ground.reading_engine(ground.readers + 1)
    try:
        with turns.held():
            ground.prepare(writing)
            migrate.make_ready(writing, ground, create=create, upgrade=upgrade)
        feed = Feed(ground, reading, clock, loop)
    except BaseException:
        writing.dispose()
        reading.dispose()
        turns.close()
        raise
    reads = SqlReads(ground, reading, loop, patience_seconds)
    registry = CachedRegistry(reads, feed, client_limit)
    keeper = ground.log_keeper()
    scribe = Scribe(ground, PersonalKeys(sealer, clock, dice), clock, dice, feed, registry.versions)
    recorder = GroupWriter(
        ground=ground,
        engine=writing,
        turns=turns,
        scribe=scribe,
        feed=feed,
        families=registry.families,
        clock=clock,
        loop=loop,
        patience_seconds=patience_seconds,
        committed=keeper.committed if keeper else None,
    )
    feed.start()
    wide = WideStore(reads, recorder, sealer, clock)
    return SqlStore(
        recorder=recorder,
        registry=registry,
        revocations=RevocationSet(reads, feed),
        upkeep=SqlUpkeep(ground, recorder, reads),
        outbox=SqlOutbox(ground, recorder, reads),
        feed=feed,
        reads=reads,
        deployment=wide,
        counters=SqlCounters(ground, clock, loop, patience_seconds),
        keeper=keeper,
    )


class SqlStore:
    """An open SQL store (``stores.Store``); ``open_store`` makes one."""

    def __init__(
        self,
        *,
        recorder: GroupWriter,
        registry: CachedRegistry,
        revocations: RevocationSet,
        upkeep: SqlUpkeep,
        outbox: SqlOutbox,
        feed: Feed,
        reads: SqlReads,
        deployment: WideStore,
        counters: SqlCounters,
        keeper: LogKeeper | None,
    ) -> None:
        self.recorder = recorder
        self.registry = registry
        self.revocations = revocations
        self.upkeep = upkeep
        self.outbox = outbox
        self.feed = feed
        self.deployment = deployment
        self.status = SqlStatus(reads.ask)
        self._reads = reads
        self._counters = counters
        self._keeper = keeper

    def limits(self, rates: Mapping[str, Rate], tag: Tag) -> Limits:
        """Make the limits that all processes on the store share; ``tag`` hides their names."""
        return self._counters.limits(rates, tag)

    def lockout(self, tag: Tag) -> Lockout:
        """Make the lockout that all processes on the store share; ``tag`` hides its names."""
        return self._counters.lockout(tag)

    def stats(self) -> dict[str, float]:
        """Tell how queue, batches, disk and feed do, for metrics."""
        return {
            **self.recorder.stats(),
            **self._reads.stats(),
            "log_pages": self._keeper.pages if self._keeper else 0,
            "feed_version": self.feed.at.version,
            "feed_lag": self.feed.lag,
            "feed_age_seconds": self.feed.age_seconds,
        }

    async def check(self) -> None:
        """Confirm for readiness that the store can be read and its tables are current (RE-11).

        Raises:
            Unavailable: It cannot, or they are not.
        """
        self.feed.require_fresh()
        if not await self._reads.tables_are_current():
            raise Unavailable(Reason.STORE_UNAVAILABLE)

    async def close(self) -> None:
        """Commit what waits and let go of everything; waits no longer than twice the callers' patience."""
        await self._counters.close()
        await self.recorder.close()
        await asyncio.get_running_loop().run_in_executor(None, self._let_go)

    def _let_go(self) -> None:
        if self._keeper is not None:
            self._keeper.close()
        self.feed.stop()
        self._reads.close()
