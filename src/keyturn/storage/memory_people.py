"""Who is where, from dictionaries (``people_reads.PeopleReads``): the same answers as from SQL, for tests."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, TypeVar

from keyturn.core.changes import Record
from keyturn.core.records import Credential, Entity, Membership, Organisation, User
from keyturn.core.store_ports import PageWish
from keyturn.core.views import EntityView, UserView
from keyturn.core.vocabulary import EntityId, OrganisationId, UserId
from keyturn.storage.people_reads import I, P, Paged

_ANY = TypeVar("_ANY", bound=Record)


class Rows(Protocol):
    """The records of a store in memory."""

    def all(self, kind: type[_ANY]) -> list[_ANY]:
        """List all records of a kind."""
        ...


class MemoryPeople:
    """The questions about people, answered by looking at every record of a kind."""

    def __init__(self, shelf: Rows) -> None:
        self._shelf = shelf

    async def one(self, kind: type[I], organisation_id: OrganisationId, key: str) -> I | None:
        """Read one of an organisation's records by its id."""
        return self._first(kind, organisation_id=organisation_id, id=key)

    async def all_of(self, kind: type[I], organisation_id: OrganisationId) -> Sequence[I]:
        """Read all of an organisation's records of a kind, oldest first."""
        return sorted(self._where(kind, organisation_id=organisation_id), key=_age)

    async def living(self, kind: type[P], organisation_id: OrganisationId) -> Sequence[P]:
        """Read all of an organisation's records of a kind that have not ended, oldest first."""
        return sorted(self._where(kind, organisation_id=organisation_id, ended_at=None), key=_age)

    async def page(
        self, kind: type[Paged], organisation_id: OrganisationId, wish: PageWish
    ) -> Sequence[Paged]:
        """Read those of an organisation's clients or users that are wanted, in their order."""
        found = [
            each
            for each in self._where(kind, organisation_id=organisation_id, **wish.equal)
            if wish.ended in (None, each.ended_at is not None)
        ]
        found.sort(key=lambda each: (getattr(each, wish.sort), each.id), reverse=wish.descending)
        if wish.after is not None:
            last = wish.after
            here = [(getattr(each, wish.sort), each.id) for each in found]
            begin = sum(place >= last if wish.descending else place <= last for place in here)
            found = found[begin:]
        return found[: wish.limit]

    async def user_by_name(self, organisation_id: OrganisationId, name: str) -> User | None:
        """Read one of the users at home in an organisation, by canonical name."""
        return self._first(User, organisation_id=organisation_id, name=name) if name else None

    async def membership_of(self, organisation_id: OrganisationId, user_id: UserId) -> Membership | None:
        """Read a user's membership in an organisation."""
        return self._first(Membership, organisation_id=organisation_id, user_id=user_id)

    async def organisation_by_alias(self, alias: str) -> Organisation | None:
        """Read an organisation by its id, or else by its API key."""
        return self._first(Organisation, id=alias) or self._first(Organisation, api_key=alias)

    async def user_by_email(self, email: str) -> User | None:
        """Read a user by canonical e-mail address."""
        return self._first(User, email=email)

    async def entity(self, entity_id: EntityId) -> Entity | None:
        """Read an entity wherever it is."""
        return self._first(Entity, id=entity_id)

    async def entity_by_subject(self, subject: str) -> Entity | None:
        """Read an entity by the ``sub`` of its tokens."""
        return self._first(Entity, subject=subject)

    async def user_view(self, user_id: UserId) -> UserView | None:
        """Read a user with all that a token for them could rest on."""
        user = self._first(User, id=user_id)
        if user is None:
            return None
        known = {each.id: each for each in self._shelf.all(Organisation)}
        memberships = tuple(sorted(self._where(Membership, user_id=user_id), key=_age))
        held = tuple(sorted(self._where(Credential, owner_id=user_id), key=_age))
        places = tuple(known[each.organisation_id] for each in memberships)
        return UserView(known[user.organisation_id], user, held, memberships, places)

    async def entity_view(self, entity_id: EntityId) -> EntityView | None:
        """Read an entity with its organisation and secrets."""
        entity = self._first(Entity, id=entity_id)
        if entity is None:
            return None
        own = {"organisation_id": entity.organisation_id, "owner_id": entity_id}
        organisation = self._first(Organisation, id=entity.organisation_id)
        if organisation is None:
            return None
        return EntityView(organisation, entity, tuple(sorted(self._where(Credential, **own), key=_age)))

    def _first(self, kind: type[_ANY], **fields: Any) -> _ANY | None:
        return next(self._where(kind, **fields), None)

    def _where(self, kind: type[_ANY], **fields: Any) -> Iterator[_ANY]:
        wanted = fields.items()
        return (
            each
            for each in self._shelf.all(kind)
            if all(getattr(each, key) == value for key, value in wanted)
        )


def _age(record: Any) -> tuple[Any, str]:
    made = record.life if isinstance(record, Credential) else record
    return made.created_at, record.id
