"""What the stores read of people and of what they are in: the questions, and how SQL answers them.

``reads`` has all others. Whatever belongs to an organisation is asked for with the organisation (TN-02).
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

from sqlalchemy import ColumnElement, Connection, Select, and_, bindparam, or_, select
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from keyturn.core.records import (
    Client,
    Credential,
    Entity,
    Membership,
    Organisation,
    Project,
    Team,
    User,
)
from keyturn.core.store_ports import PageWish
from keyturn.core.views import EntityView, UserView
from keyturn.core.vocabulary import EntityId, OrganisationId, UserId
from keyturn.storage import rows
from keyturn.storage.people_schema import ENTITY, MEMBERSHIP, USER
from keyturn.storage.schema import ORGANISATION

Inhabitant = User | Membership | Team | Project | Entity | Credential
I = TypeVar("I", bound=Inhabitant)  # noqa: E741  # one letter, like every type variable here
P = TypeVar("P", bound=Team | Project)
Paged = TypeVar("Paged", Client, User)


# Built once, for a request waits for them.
_MEMBERSHIPS = (
    select(MEMBERSHIP)
    .where(MEMBERSHIP.c.user_id == bindparam("user_id"))
    .order_by(MEMBERSHIP.c.created_at, MEMBERSHIP.c.id)
)
_NAMED = select(ORGANISATION).where(ORGANISATION.c.id.in_(bindparam("named", expanding=True)))


class PeopleReads(Protocol):
    """Every question about people that the stores ask; all may raise ``Unavailable``."""

    async def one(self, kind: type[I], organisation_id: OrganisationId, key: str) -> I | None:
        """Read one of an organisation's records by its id."""
        ...

    async def all_of(self, kind: type[I], organisation_id: OrganisationId) -> Sequence[I]:
        """Read all of an organisation's records of a kind, oldest first."""
        ...

    async def living(self, kind: type[P], organisation_id: OrganisationId) -> Sequence[P]:
        """Read all of an organisation's records of a kind that have not ended, oldest first."""
        ...

    async def page(
        self, kind: type[Paged], organisation_id: OrganisationId, wish: PageWish
    ) -> Sequence[Paged]:
        """Read those of an organisation's clients or users that are wanted, in their order."""
        ...

    async def user_by_name(self, organisation_id: OrganisationId, name: str) -> User | None:
        """Read one of the users at home in an organisation, by canonical name."""
        ...

    async def membership_of(self, organisation_id: OrganisationId, user_id: UserId) -> Membership | None:
        """Read a user's membership in an organisation."""
        ...

    async def organisation_by_alias(self, alias: str) -> Organisation | None:
        """Read an organisation by its id, or else by its API key."""
        ...

    async def user_by_email(self, email: str) -> User | None:
        """Read a user by canonical e-mail address."""
        ...

    async def entity(self, entity_id: EntityId) -> Entity | None:
        """Read an entity wherever it is."""
        ...

    async def entity_by_subject(self, subject: str) -> Entity | None:
        """Read an entity by the ``sub`` of its tokens."""
        ...

    async def user_view(self, user_id: UserId) -> UserView | None:
        """Read a user with all that a token for them could rest on, as it was at one moment."""
        ...

    async def entity_view(self, entity_id: EntityId) -> EntityView | None:
        """Read an entity with its organisation and secrets, as they were at one moment."""
        ...


class Ask(Protocol):
    """Answers a question from one snapshot of a SQL store."""

    def __call__(self, question: Callable[[Connection], Any], /) -> Awaitable[Any]:
        """Answer on a reader's thread."""
        ...


class SqlPeople:
    """Answers from SQL (``PeopleReads``)."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def one(self, kind: type[I], organisation_id: OrganisationId, key: str) -> I | None:
        """Read one of an organisation's records by its id."""
        return await self._first(kind, _inside(kind, organisation_id).where(rows.table_of(kind).c.id == key))

    async def all_of(self, kind: type[I], organisation_id: OrganisationId) -> Sequence[I]:
        """Read all of an organisation's records of a kind, oldest first."""
        return await self._all(kind, _inside(kind, organisation_id))

    async def living(self, kind: type[P], organisation_id: OrganisationId) -> Sequence[P]:
        """Read all of an organisation's records of a kind that have not ended, oldest first."""
        alive = rows.table_of(kind).c.ended_at.is_(None)
        return await self._all(kind, _inside(kind, organisation_id).where(alive))

    async def page(
        self, kind: type[Paged], organisation_id: OrganisationId, wish: PageWish
    ) -> Sequence[Paged]:
        """Read those of an organisation's clients or users that are wanted, in their order."""
        columns = rows.table_of(kind).c
        query = _inside(kind, organisation_id).where(*_wanted(columns, wish))
        order = (columns[wish.sort], columns.id)
        query = query.order_by(*(each.desc() if wish.descending else each for each in order))
        found: Sequence[Paged] = await self._ask(lambda c: rows.records(c, kind, query.limit(wish.limit)))
        return found

    async def user_by_name(self, organisation_id: OrganisationId, name: str) -> User | None:
        """Read one of the users at home in an organisation, by canonical name."""
        return await self._first(User, _inside(User, organisation_id).where(USER.c.place == name))

    async def membership_of(self, organisation_id: OrganisationId, user_id: UserId) -> Membership | None:
        """Read a user's membership in an organisation."""
        inside = _inside(Membership, organisation_id)
        return await self._first(Membership, inside.where(MEMBERSHIP.c.user_id == user_id))

    async def organisation_by_alias(self, alias: str) -> Organisation | None:
        """Read an organisation by its id, or else by its API key."""

        def find(connection: Connection) -> Organisation | None:
            named = rows.SqlShelf(connection).find(Organisation, alias)
            query = select(ORGANISATION).where(ORGANISATION.c.api_key == alias)
            return named or next(iter(rows.records(connection, Organisation, query)), None)

        found: Organisation | None = await self._ask(find)
        return found

    async def user_by_email(self, email: str) -> User | None:
        """Read a user by canonical e-mail address."""
        return await self._first(User, select(USER).where(USER.c.email == email))

    async def entity(self, entity_id: EntityId) -> Entity | None:
        """Read an entity wherever it is."""
        return await self._first(Entity, select(ENTITY).where(ENTITY.c.id == entity_id))

    async def entity_by_subject(self, subject: str) -> Entity | None:
        """Read an entity by the ``sub`` of its tokens."""
        return await self._first(Entity, select(ENTITY).where(ENTITY.c.subject == subject))

    async def user_view(self, user_id: UserId) -> UserView | None:
        """Read a user with all that a token for them could rest on, as it was at one moment."""
        found: UserView | None = await self._ask(lambda c: _user_view(c, user_id))
        return found

    async def entity_view(self, entity_id: EntityId) -> EntityView | None:
        """Read an entity with its organisation and secrets, as they were at one moment."""

        def view(connection: Connection) -> EntityView | None:
            shelf = rows.SqlShelf(connection)
            entity = shelf.find(Entity, entity_id)
            organisation = None if entity is None else shelf.find(Organisation, entity.organisation_id)
            if entity is None or organisation is None:
                return None
            return EntityView(organisation, entity, _held_by(connection, entity_id, organisation.id))

        found: EntityView | None = await self._ask(view)
        return found

    async def _first(self, kind: type[I], query: Select[Any]) -> I | None:
        found: I | None = await self._ask(lambda c: next(iter(rows.records(c, kind, query)), None))
        return found

    async def _all(self, kind: type[I], query: Select[Any]) -> Sequence[I]:
        columns = rows.table_of(kind).c
        ordered = query.order_by(columns.created_at, columns.id)
        found: Sequence[I] = await self._ask(lambda c: rows.records(c, kind, ordered))
        return found


def _wanted(columns: ReadOnlyColumnCollection[str, Any], wish: PageWish) -> Iterator[ColumnElement[bool]]:
    for name, value in wish.equal.items():
        yield columns[name] == value
    if wish.ended is not None:
        yield columns.ended_at.is_not(None) if wish.ended else columns.ended_at.is_(None)
    if wish.after is not None:
        (value, key), by = wish.after, columns[wish.sort]
        beyond = columns.id < key if wish.descending else columns.id > key
        yield or_(by < value if wish.descending else by > value, and_(by == value, beyond))


def _inside(kind: type[Any], organisation_id: OrganisationId) -> Select[Any]:
    table = rows.table_of(kind)
    return select(table).where(table.c.organisation_id == organisation_id)


def _user_view(connection: Connection, user_id: UserId) -> UserView | None:
    shelf = rows.SqlShelf(connection)
    user = shelf.find(User, user_id)
    home = None if user is None else shelf.find(Organisation, user.organisation_id)
    if user is None or home is None:
        return None
    memberships = tuple(rows.records(connection, Membership, _MEMBERSHIPS, {"user_id": user_id}))
    named = {"named": sorted({each.organisation_id for each in memberships})}
    known = {each.id: each for each in rows.records(connection, Organisation, _NAMED, named)}
    return UserView(
        home,
        user,
        _held_by(connection, user_id),
        memberships,
        tuple(known[each.organisation_id] for each in memberships),
    )


def _held_by(
    connection: Connection, owner_id: str, organisation_id: OrganisationId | None = None
) -> tuple[Credential, ...]:
    """Read an owner's credentials of every kind; a user's may be good in several organisations."""
    held = rows.held_by(connection, owner_id)
    return tuple(credential for credential in held if organisation_id in (None, credential.organisation_id))
