"""A store's tables as an operator looks at them: which revision they have, what is missing, and bring it in.

Nothing here needs the master key: migrations change tables, and never open what is sealed in them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Self

import msgspec
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from keyturn.core.errors import ConfigError, Unavailable
from keyturn.core.vocabulary import Reason
from keyturn.storage import migrate
from keyturn.storage.ground import Ground, Turns
from keyturn.storage.grounds import ground_of


class Standing(StrEnum):
    """How a store's tables compare with what this program knows."""

    BEHIND = "behind"
    CURRENT = "current"
    NEWER = "newer"
    """A newer program has added to them; this one works with that (RE-04)."""


class Step(msgspec.Struct, frozen=True):
    """A revision that is missing, in a sentence and as SQL."""

    revision: str
    summary: str
    sql: str


class Outlook(msgspec.Struct, frozen=True):
    """What the tables are, what this program asks of them, and what is between, oldest first."""

    version: str
    head: str
    pending: tuple[Step, ...]

    def standing(self, version: str) -> Standing:
        """Say in a word how a version compares with what this program knows."""
        if version < self.head:
            return Standing.BEHIND
        return Standing.NEWER if version > self.head else Standing.CURRENT


class Tables:
    """The tables of one store; ``Tables.of`` opens them."""

    def __init__(self, ground: Ground, engine: Engine, turns: Turns) -> None:
        self._ground = ground
        self._engine = engine
        self._turns = turns

    @classmethod
    @contextmanager
    def of(cls, path_or_url: str | Path) -> Iterator[Self]:
        """Open the store that a setting names, for its tables only.

        Raises:
            ConfigError: The setting names no store that we know, or one that is not there.
            Unavailable: The store cannot be reached, read or written now.
        """
        ground = ground_of(path_or_url)
        try:
            ground.require()
            turns, engine = ground.turns(), ground.writing_engine()
            try:
                yield cls(ground, engine, turns)
            finally:
                engine.dispose()
                turns.close()
        except (SQLAlchemyError, OSError) as error:
            raise Unavailable(Reason.STORE_UNAVAILABLE) from error

    def look(self) -> Outlook:
        """Compare the tables with what this program knows, and change nothing.

        Raises:
            ConfigError: There are no tables of ours.
        """
        with self._engine.connect() as connection:
            version = migrate.version_of(connection)
        if version is None:
            raise ConfigError([migrate.EMPTY])
        return Outlook(version, migrate.HEAD, self._steps(version) if version < migrate.HEAD else ())

    def apply(self) -> Outlook:
        """Bring in what is missing; gives what was found, without steps where somebody else brought it in.

        Waits while another process does the same.

        Raises:
            ConfigError: There are no tables of ours.
        """
        with self._turns.held():
            found = self.look()
            return found if migrate.apply(self._engine, self._ground) else self.look()

    def _steps(self, version: str) -> tuple[Step, ...]:
        from keyturn.storage import revisions

        dialect = self._engine.dialect.name
        missing = revisions.after(version)
        return tuple(
            Step(each.number, each.summary, revisions.sql_of(each.number, dialect)) for each in missing
        )
