"""What one transaction writes: the units of many requests, their audit rows, the change feed.

A unit that loses is undone to its savepoint and leaves its neighbours alone. If the transaction itself fails,
everything it assumed (the chain's tail, keys it made) is forgotten and read again by the next one; so it is
where another server answers, which may have lost some of it.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

import msgspec
from sqlalchemy import Connection, bindparam, select
from sqlalchemy.exc import DBAPIError

from keyturn.core.changes import Add, Change, Lost, Outcome, Record, Recorded, RequireVersion, Shred, Unit
from keyturn.core.clock import Clock
from keyturn.core.errors import Fault
from keyturn.core.identifiers import uuid7
from keyturn.core.records import AuditEvent, Organisation, RefreshFamily
from keyturn.core.secret import Dice
from keyturn.core.vocabulary import FamilyId, OrganisationId
from keyturn.storage.abreast import abreast, write_all
from keyturn.storage.audit import Columns, Tail, columns_after, without_nul
from keyturn.storage.carry import carry_out
from keyturn.storage.families import Seen, named_in
from keyturn.storage.feed import Confirmation, News, read_news
from keyturn.storage.ground import Ground, Point
from keyturn.storage.personal import PersonalKeys
from keyturn.storage.rows import SqlShelf, append_audit
from keyturn.storage.schema import AUDIT, AUDIT_CHAIN, CHANGE_LOG, FEED
from keyturn.storage.topics import LAST_USE, REVOCATION, SHRED, topics_of

KEPT_VERSIONS = 10_000
"""How many versions the change log keeps; who lags further behind forgets everything."""
_TRIM_EVERY = 256

_RAISE = FEED.update().values(version=bindparam("to"))
_RECORDED = Recorded()
_CHANGE_NOTHING = frozenset({RequireVersion})
_RAISES_NO_VERSION = frozenset({LAST_USE, REVOCATION})
"""Topics of changes after which every version that memory knows still holds."""


class Entry(Protocol):
    """A unit on its way: what the scribe needs to know of it."""

    unit: Unit
    scope: OrganisationId | None
    appends: bool
    """Whether it ``changes_nothing``, which was asked where it was handed in."""


class Written(msgspec.Struct, frozen=True):
    """What a transaction did, once it is committed.

    Args:
        outcomes: One for each unit.
        news: What others did meanwhile, and this one.
        families: What became of the refresh families that it had to do with.
    """

    outcomes: tuple[Outcome | Fault, ...]
    news: News
    families: Seen


def changes_nothing(unit: Unit) -> bool:
    """Tell whether a unit leaves nothing but its row in the trail."""
    return _CHANGE_NOTHING.issuperset(map(type, unit.changes))


class Scribe:
    """Writes units into the transaction it is given; one per process, used by the writer's thread only.

    Args:
        ground: Keeps what is written.
        keys: Seals personal fields.
        clock: Dates the chain.
        dice: Names the chain.
        feed: Tells which version memory has applied.
        cached_versions: (table, id) to version, true whenever memory has applied the store's version.
    """

    def __init__(
        self,
        ground: Ground,
        keys: PersonalKeys,
        clock: Clock,
        dice: Dice,
        feed: Confirmation,
        cached_versions: Mapping[tuple[str, str], int],
    ) -> None:
        self._ground = ground
        self._keys = keys
        self._clock = clock
        self._feed = feed
        self._cached_versions = cached_versions
        self._chain = uuid7(clock.now(), dice)
        self._chain_id: int | None = None
        self._tail = Tail(self._chain)
        # The transaction being written.
        self._rows: list[Columns] = []
        self._touched: dict[tuple[str, str], None] = {}
        self._families: dict[FamilyId, RefreshFamily | None] = {}
        self._memory_is_current = False
        self._held: Sequence[Change] = ()
        self._keys_at: Point | None = None
        self._history: str | None = None

    def write(self, connection: Connection, at: Point, entries: Sequence[Entry], seen_at: float) -> Written:
        """Write units into an open transaction.

        Args:
            connection: In a transaction of ``Ground.begin_writing``; one that is not ``alone`` is only for
                entries that change nothing (``changes_nothing``).
            at: How far the store has come, as it said.
            entries: In the order in which they are carried out.
            seen_at: Monotonic seconds from before the transaction began.

        Raises:
            SQLAlchemyError: The transaction has failed as a whole; roll back, then call ``forget``.
        """
        self._rows, self._touched, self._families, self._held = [], {}, {}, ()
        if at.history != self._history:
            self.forget()
            self._history = at.history
        chain_id = self._chain_id or self._find_tail(connection)
        self._drop_shredded(connection, at, seen_at)
        self._memory_is_current = at == self._feed.at
        shelf = SqlShelf(connection)
        done = self._carry_together(connection, shelf, entries)
        outcomes = tuple(
            [
                _RECORDED if at in done else self._carry(connection, shelf, entry)
                for at, entry in enumerate(entries)
            ]
        )
        append_audit(self._ground, connection, chain_id, self._rows)
        if self._touched:
            at = at._replace(version=at.version + 1)
            self._log_changes(connection, at.version)
            self._keys_at = at
        if at == self._feed.at:
            return Written(outcomes, News(at, (), seen_at), self._families)
        news = read_news(self._ground, connection, self._feed.at, seen_at)
        return Written(outcomes, news, self._families)

    def forget(self) -> None:
        """Assume nothing of what is in the store: a transaction failed, or its COMMIT only seemed to."""
        self._chain_id = None
        self._keys.forget()
        self._keys_at = None

    def _drop_shredded(self, connection: Connection, at: Point, seen_at: float) -> None:
        """Forget the keys that others have destroyed, before anything more is sealed under one.

        Inside the transaction and not when the feed is applied, so that there is no moment between.
        """
        if at == self._keys_at:
            return
        before = self._keys_at
        news = None if before is None else read_news(self._ground, connection, before, seen_at)
        if news is None or news.touched is None:
            self._keys.forget()
        else:
            for topic, key in news.touched:
                if topic == SHRED:
                    self._keys.drop(key)
        self._keys_at = at

    def _carry_together(
        self, connection: Connection, shelf: SqlShelf, entries: Sequence[Entry]
    ) -> frozenset[int]:
        """Carry out what can be written abreast and has nothing else to ask; gives the places of those.

        They come first, as if nobody else of the batch had been there yet: all that they rest on is as memory
        has it. Where one of them does not hold, none does, and each is carried out by itself.
        """
        units: dict[int, Unit] = {}
        changes: list[Change] = []
        written: dict[tuple[type, str], Record] = {}
        for place, entry in enumerate(entries):
            if entry.appends:
                continue
            left = self._unsettled(entry.unit, entry.scope)
            # One that rests on what memory cannot tell has that left too.
            records = abreast(left)
            if records and written.keys().isdisjoint(records):
                units[place] = entry.unit
                changes += left
                written |= records
        if units and self._hold_together(connection, shelf, changes, tuple(units.values())):
            self._families = {each.id: each for each in written.values() if isinstance(each, RefreshFamily)}
            return frozenset(units)
        return frozenset()

    def _hold_together(
        self, connection: Connection, shelf: SqlShelf, changes: Sequence[Change], units: Sequence[Unit]
    ) -> bool:
        tail = self._tail
        try:
            with _savepoint(self._ground, connection):
                write_all(self._ground, connection, changes)
                for unit in units:
                    for event in unit.events:
                        self._append(event, shelf)
        except Exception as error:  # whatever it was, each will hear of its own
            if isinstance(error, DBAPIError) and not self._ground.is_units_own(error):
                raise
            self._tail, self._rows = tail, []
            self._keys.forget()  # one may have been made inside the savepoint
            return False
        # None of these raises a version, so that memory stays as current as it was.
        self._touched = {
            topic: None for change in changes if isinstance(change, Add) for topic in topics_of(change)
        }
        return True

    def _carry(self, connection: Connection, shelf: SqlShelf, entry: Entry) -> Outcome | Fault:
        unit = entry.unit
        appended, tail = len(self._rows), self._tail
        try:
            changes = self._unsettled(unit, entry.scope)
            if not changes:
                self._append(unit.audit, shelf)
                return _RECORDED
            self._families |= dict.fromkeys(named_in(changes))
            with _savepoint(self._ground, connection):
                touched = self._change(changes, shelf, entry.scope)
                for event in unit.events:
                    self._append(event, shelf)
            self._touched |= touched
            # From here on the store may be ahead of memory, for the neighbours that follow.
            if any(topic not in _RAISES_NO_VERSION for topic, _ in touched):
                self._memory_is_current = False
        except _LostError as loss:
            if unit.audit_if_lost is not None:
                self._append(unit.audit_if_lost, shelf)
            return loss.lost
        except DBAPIError as error:
            if not self._ground.is_units_own(error):
                raise
            self._take_back(appended, tail)
            return Fault(_cannot(error))
        except Exception as error:  # noqa: BLE001  # whatever a unit does must not take its neighbours along
            self._take_back(appended, tail)
            # The name of the error only: its text may quote somebody's name.
            return error if isinstance(error, Fault) else Fault(_cannot(error))
        return _RECORDED

    def _take_back(self, appended: int, tail: Tail) -> None:
        """Forget what a unit that failed told of itself before it did."""
        self._keys.forget()  # one may have been made inside the savepoint
        del self._rows[appended:]
        self._tail = tail

    def _unsettled(self, unit: Unit, scope: OrganisationId | None) -> Sequence[Change]:
        """Give the changes of a unit about which the store has to be asked.

        A version that is required may be told from memory alone, unless an earlier change of the unit could
        have raised it: units require first and change then.
        """
        changes = unit.changes
        if scope is not None or not self._memory_is_current:
            return changes
        if changes is self._held:  # the tokens of one decision all rest on the same value
            return ()
        known = self._cached_versions
        for place, change in enumerate(changes):
            if (
                not isinstance(change, RequireVersion)
                or known.get((change.table, change.id)) != change.version
            ):
                return changes[place:]
        self._held = changes
        return ()

    def _change(
        self, changes: Sequence[Change], shelf: SqlShelf, scope: OrganisationId | None
    ) -> dict[tuple[str, str], None]:
        touched: dict[tuple[str, str], None] = {}
        for change in changes:
            lost = carry_out(change, shelf, scope)
            if lost is not None:
                raise _LostError(lost)
            touched |= dict.fromkeys(topics_of(change))
            if isinstance(change, Shred):
                self._keys.shred(change.organisation_id, shelf)
            elif isinstance(change, Add) and isinstance(change.record, Organisation):
                shelf.insert(self._keys.made_with(change.record))
        return touched

    def _append(self, event: AuditEvent, shelf: SqlShelf) -> None:
        if self._ground.refuses_nul:
            event = without_nul(event)
        tail = self._tail
        row = columns_after(tail, event, self._keys.seal(event, tail, shelf))
        self._rows.append(row)
        self._tail = Tail(tail.chain, row[0], row[-1])

    def _find_tail(self, connection: Connection) -> int:
        """Read where our chain really ends, or begin it."""
        mine = select(AUDIT_CHAIN.c.id).where(AUDIT_CHAIN.c.chain == self._chain)
        chain_id = connection.execute(mine).scalar()
        if chain_id is None:
            begun = AUDIT_CHAIN.insert().values(chain=self._chain, started_at=self._clock.now())
            (chain_id,) = connection.execute(begun).inserted_primary_key or (0,)
        rows = select(AUDIT.c.seq, AUDIT.c.row_hash).where(AUDIT.c.chain_id == chain_id)
        last = connection.execute(rows.order_by(AUDIT.c.seq.desc()).limit(1)).first()
        self._tail = Tail(self._chain) if last is None else Tail(self._chain, last.seq, last.row_hash)
        self._chain_id = int(chain_id)
        return self._chain_id

    def _log_changes(self, connection: Connection, version: int) -> None:
        connection.execute(_RAISE, {"to": version})
        rows = [(version, topic, key) for topic, key in self._touched]
        self._ground.append(connection, CHANGE_LOG.name, ("version", "topic", "key"), rows)
        if version % _TRIM_EVERY == 0:
            connection.execute(CHANGE_LOG.delete().where(CHANGE_LOG.c.version <= version - KEPT_VERSIONS))


class _LostError(Exception):
    """Leaves a unit's savepoint; never leaves the scribe."""

    def __init__(self, lost: Lost) -> None:
        super().__init__()
        self.lost = lost


def _cannot(error: Exception) -> str:
    return f"a unit cannot be written: {type(error).__name__}"


@contextmanager
def _savepoint(ground: Ground, connection: Connection) -> Iterator[None]:
    ground.say(connection, "SAVEPOINT unit")
    try:
        yield
    except Exception:
        ground.say(connection, "ROLLBACK TO unit")
        raise
    finally:
        ground.say(connection, "RELEASE unit")
