"""An API token is asked about: what is it, whose, and is it good? By whoever holds it, or by a client.

It is no token of any profile: a question that accepts none is about API tokens, and any other question never
is, so that one kind is not taken for the other (TK-08).
"""

from datetime import datetime
from typing import Any

import msgspec

from keyturn.core.errors import NotFound
from keyturn.core.records import Client, Credential, Organisation
from keyturn.core.requests import Question
from keyturn.core.views import ClientView, UserView
from keyturn.core.vocabulary import CredentialKind, Reason
from keyturn.exchange.admit import admit
from keyturn.exchange.credentials import client_objection, credential_objection
from keyturn.exchange.holders import place_of_user
from keyturn.exchange.roles import roles_in
from keyturn.exchange.services import Services


class LivingSecret(msgspec.Struct, frozen=True):
    """An API token that would be exchanged now, but for a passcode; where asked, but for being disabled."""

    credential: Credential
    owner: UserView | ClientView
    organisation: Organisation


async def describe(question: Question, services: Services) -> dict[str, Any]:
    """Say what an API token is to whoever holds it.

    Raises:
        NotFound: It is none that is good here.
        SlowDown: The limit of the caller's address is reached.
    """
    now = services.clock_watch.latest(services.clock.now())
    services.registry.require_fresh()
    await admit(question.origin, services.limits, services.clock.monotonic())
    found = await find_secret(question, services, now, disabled_too=True)
    if found is None:
        raise NotFound(Reason.UNKNOWN_USER, "no such token")
    return _facts(found, question.origin.dialect)


async def find_secret(
    question: Question, services: Services, now: datetime, *, disabled_too: bool = False
) -> LivingSecret | None:
    """Find the living API token of the question's dialect that is asked about; None for anything else.

    Args:
        disabled_too: Whether one that is switched off is found, which would be good without that.
    """
    digest = question.token.sha256()
    held = await services.registry.find_held(services.digester.lookup_hashes(digest))
    if held is None or held.credential.kind is not CredentialKind.API_TOKEN:
        return None
    credential, owner, dialect = held.credential, held.owner, question.origin.dialect
    if isinstance(owner, UserView):
        place = owner.place_in(credential.organisation_id)
        organisation = None if place is None else place[0]
        acts = organisation is not None and not isinstance(place_of_user(owner, organisation), Reason)
    else:
        organisation = owner.organisation
        acts = client_objection(dialect, owner) is None
    if organisation is None or not acts:
        return None
    judged = _switched_on(credential) if disabled_too else credential
    if credential_objection(dialect, judged, organisation, now) is not None:
        return None
    return LivingSecret(credential, owner, organisation)


def _switched_on(credential: Credential) -> Credential:
    life = msgspec.structs.replace(credential.life, disabled=False)
    return msgspec.structs.replace(credential, life=life)


def _scopes_of(client: Client, credential: Credential) -> tuple[str, ...]:
    """Give what a client's token may ask: unlike a user, a client has scopes of its own."""
    chosen = credential.scopes
    return tuple(word for word in client.scopes if chosen is None or word in chosen)


def _facts(found: LivingSecret, dialect: str) -> dict[str, Any]:
    credential, owner, organisation = found.credential, found.owner, found.organisation
    place = owner.place_in(organisation.id) if isinstance(owner, UserView) else None
    user = owner.user if isinstance(owner, UserView) else None
    home = owner.home if isinstance(owner, UserView) else organisation
    client = None if isinstance(owner, UserView) else owner.client
    return {
        "credential.id": credential.id,
        "credential.name": credential.name,
        "organisation.id": organisation.id,
        "organisation.slug": organisation.slug,
        "home.id": home.id,
        "home.slug": home.slug,
        "user.id": None if user is None else user.id,
        "user.name": None if user is None else user.display_name,
        "user.login": None if user is None else user.name,
        "user.account": None if user is None else user.account_at(home.slug),
        "user.email": None if user is None else user.email,
        "client.id": None if client is None else client.id,
        "client.name": None if client is None else client.name,
        "subject": credential.owner_id,
        "scope": credential.scopes if client is None else _scopes_of(client, credential),
        "roles": () if place is None else roles_in(dialect, place[1], credential),
        "disabled": credential.life.disabled,
        "issued_at": credential.life.created_at,
        "last_used_on": credential.last_used_on,
        "expires_at": credential.life.expires_at,
    }
