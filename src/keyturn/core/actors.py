"""Who acts: the first argument of every directory verb, and the ``actor`` of its audit event.

Local authority is access to the data folder (design.md section 4); an actor that came in with a token may be
confined to one organisation, and to it everything else answers as if it did not exist (TN-02).
"""

import msgspec

from keyturn.core.admin_records import AdminToken
from keyturn.core.records import Client, Membership, Organisation, User
from keyturn.core.vocabulary import ClientId, OrganisationId


class Actor(msgspec.Struct, frozen=True):
    """Somebody who calls a directory verb.

    Args:
        name: ``operator:<os user>``, ``system:<job>``, ``client:<id>``, ``user:<id>``, ``entity:<id>`` or
            ``admin:<token id>``.
        organisation_id: The one organisation it may act in; None for all.
        permissions: What its roles permit, at the time of the call; None for an operator, who may do all.
        user: Who it is, of a person or service user.
        membership: Its user's place in the organisation.
        home: Its user's home organisation.
        client: Who it is, of a machine that asks in its own name.
        organisation: The one organisation, where it came in with a token.
        roles: Those that its token stands for, without the dialect's name.
        admin_token: What it came in with to the admin API.
        places: Every organisation that its user may act in, the oldest membership first.
        request_id: Of the request that it came in with; rows of what it does name it.
        address: Whence that came.
    """

    name: str
    organisation_id: OrganisationId | None = None
    permissions: frozenset[str] | None = None
    user: User | None = None
    membership: Membership | None = None
    home: Organisation | None = None
    client: Client | None = None
    organisation: Organisation | None = None
    roles: tuple[str, ...] = ()
    places: tuple[Organisation, ...] = ()
    admin_token: AdminToken | None = None
    request_id: str | None = None
    address: str | None = None

    def may_act_in(self, organisation_id: OrganisationId) -> bool:
        """Tell whether an organisation exists for this actor."""
        return self.organisation_id in (None, organisation_id)

    def may(self, permission: str) -> bool:
        """Tell whether its roles permit something; what it may see is another question."""
        return self.permissions is None or permission in self.permissions


def operator(os_user: str) -> Actor:
    """Name a person at the machine: whoever can open the data folder may do everything."""
    return Actor(f"operator:{os_user}")


def system(job: str) -> Actor:
    """Name a job of Keyturn's own."""
    return Actor(f"system:{job}")


def client(client_id: ClientId, organisation_id: OrganisationId) -> Actor:
    """Name a client that came in with a token of its organisation; without roles nothing is permitted."""
    return Actor(f"client:{client_id}", organisation_id, frozenset())


def user(member: User, membership: Membership, permissions: frozenset[str]) -> Actor:
    """Name a user who came in with a token of an organisation."""
    return Actor(f"user:{member.id}", membership.organisation_id, permissions, member, membership)


def administrator(token: AdminToken, request_id: str, address: str) -> Actor:
    """Name whoever came in with an admin token: in its reach it may do what its scopes let pass."""
    return Actor(
        f"admin:{token.id}",
        token.organisation_id,
        admin_token=token,
        request_id=request_id,
        address=address,
    )
