"""What locate finds: a record with all that a token for it could rest on."""

import msgspec

from keyturn.core.records import Client, Credential, Entity, Membership, Organisation, User
from keyturn.core.vocabulary import OrganisationId


class ClientView(msgspec.Struct, frozen=True):
    """What locate finds behind a client id: the client, its organisation and its credentials."""

    organisation: Organisation
    client: Client
    credentials: tuple[Credential, ...]


class UserView(msgspec.Struct, frozen=True):
    """What locate finds behind a user: all that a token for them, in any organisation, could rest on.

    Args:
        home: The user's home organisation.
        credentials: All of the user's, of every kind and organisation, ended ones included.
        memberships: Oldest first, ended ones included.
        organisations: Those of the memberships, in the same order.
    """

    home: Organisation
    user: User
    credentials: tuple[Credential, ...]
    memberships: tuple[Membership, ...]
    organisations: tuple[Organisation, ...]

    @property
    def places(self) -> tuple[Organisation, ...]:
        """Give every organisation that the user may act in, the oldest membership first."""
        pairs = zip(self.organisations, self.memberships, strict=True)
        return tuple(each for each, membership in pairs if each.usable and membership.usable)

    def place_in(self, organisation_id: OrganisationId) -> tuple[Organisation, Membership] | None:
        """Give an organisation and the user's membership in it, ended ones too; None where there is none."""
        pairs = zip(self.organisations, self.memberships, strict=True)
        return next((pair for pair in pairs if pair[0].id == organisation_id), None)


class EntityView(msgspec.Struct, frozen=True):
    """What locate finds behind an entity id: the entity, its organisation and its secrets."""

    organisation: Organisation
    entity: Entity
    credentials: tuple[Credential, ...]


class Held(msgspec.Struct, frozen=True):
    """What locate finds behind a secret that does not say whose it is."""

    credential: Credential
    owner: ClientView | UserView
