"""What a request asks for: its slots made into the core's values, and who says it asks.

Slots are the neutral names of a table's fields; from here on no wire name is known.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from keyturn.core import errors
from keyturn.core.requests import Call, Origin, PresentedCredential, Question, TokenRequest
from keyturn.core.secret import Secret
from keyturn.core.vocabulary import Code, CredentialKind, OwnerName, Reason
from keyturn.wire.http import WireRequest
from keyturn.wire.parse import basic
from keyturn.wire.readers import READERS
from keyturn.wire.tables import (
    Bearer,
    ClientAuthentication,
    Conflict,
    Document,
    Exchange,
    Operation,
    Route,
)

Slots = dict[str, Any]


class Publication(msgspec.Struct, frozen=True):
    """A wish for a published document.

    Args:
        organisation: The slug in its path; None where the document is its profile's.
    """

    origin: Origin
    document: Document
    organisation: str | None


Asked = TokenRequest | Question | Call | Publication
Ask = Callable[[Origin, Slots, Secret | None], Asked]
"""Makes what is asked of the slots and the access token that a call brings."""

_read_owner, _read_secret = READERS["uuid_or_text"], READERS["secret"]

REFUSAL_OF: dict[Code, type[errors.Refusal]] = {
    kind.code: kind
    for kind in (
        errors.InvalidRequest,
        errors.InvalidClient,
        errors.InvalidGrant,
        errors.InvalidScope,
        errors.InvalidTarget,
        errors.UnsupportedGrantType,
        errors.InvalidToken,
        errors.PreconditionRequired,
    )
}
"""The codes that a table may name for a field, or for a credential that is not there."""


def merge_basic(request: WireRequest, table: ClientAuthentication, slots: Slots) -> None:
    """Merge HTTP Basic with what the body says, as the table settles a conflict (TE-04).

    Raises:
        InvalidRequest: Two ways at once, or two that disagree, where the table refuses that.
        InvalidClient: The header cannot be read.
    """
    claimed = request.notes.claimed
    if claimed is None:
        claimed = request.notes.claimed = _claimed(request, table)
    if not claimed:
        return
    owner, secret = claimed
    in_body = slots.get(table.secret)
    same_owner = slots.get(table.owner, owner) == owner
    if table.conflict is Conflict.BODY_WINS and in_body is not None:
        return
    if table.conflict is Conflict.ONE and (in_body is not None or table.assertion in slots or not same_owner):
        raise errors.InvalidRequest(Reason.TWO_AUTHENTICATIONS, "use one way of client authentication")
    same_secret = in_body is None or (secret is not None and in_body.reveal() == secret.reveal())
    if table.conflict is Conflict.MUST_AGREE and not (same_owner and same_secret):
        raise errors.InvalidRequest(
            Reason.TWO_AUTHENTICATIONS, "the Authorization header and the body name different clients"
        )
    slots[table.owner] = owner
    if secret is not None:
        slots[table.secret] = secret


def _claimed(request: WireRequest, table: ClientAuthentication) -> tuple[str, Secret | None] | tuple[()]:
    """Read who asks by HTTP Basic, and by what; empty where the table or the request has none.

    A public client sends an empty secret (RFC 6749 section 2.3.1), which is none.
    """
    pair = basic(request, other_schemes_refused=table.other_schemes_refused) if table.basic else None
    if pair is None:
        return ()
    try:
        owner, secret = _read_owner(pair[0]), _read_secret(pair[1])
    except ValueError:
        raise errors.InvalidClient(Reason.MALFORMED) from None
    return owner, secret if pair[1] else None


def compile_ask(route: Route) -> Callable[[Slots], Ask | None]:
    """Turn what a route can be asked for into the function that chooses by the ``grant_type`` slot.

    It gives None where the grant type is none of the route's.
    """
    if route.document is not None:
        return _always(_publisher(route.document))
    if route.operation is not None:
        if route.bearer is not None:
            return _always(caller(route.operation, route.bearer))
        return _always(_questioner(route.operation, route.authentication))
    asks = {exchange.wire_grant: _exchanger(exchange, route) for exchange in route.exchanges}
    if None in asks:
        return _always(asks[None])
    return lambda slots: asks.get(slots["grant_type"]) if "grant_type" in slots else _ungranted


def _always(ask: Ask) -> Callable[[Slots], Ask]:
    return lambda _: ask


def _ungranted(origin: Origin, slots: Slots, token: Secret | None) -> Asked:  # noqa: ARG001 - as any ``Ask``
    """Stand for a request whose missing ``grant_type`` is a problem already."""
    raise errors.InvalidRequest(Reason.FIELD_MISSING, "grant_type is required")


def _exchanger(exchange: Exchange, route: Route) -> Ask:
    present = _presenter(exchange, route)
    accepts = () if route.bearer is None or exchange.secret else route.bearer.accepts
    authentication, named = route.authentication, route.bearer and route.bearer.organisation
    built_in = exchange.client and _naming(exchange.client.id)

    def ask(origin: Origin, slots: Slots, token: Secret | None) -> TokenRequest:
        credential = present(slots, token)
        client = built_in or credential
        if authentication is not None and built_in is None:
            client = presented_client(authentication, slots)
        presented = credential or client
        if presented is None or client is None:
            raise REFUSAL_OF[exchange.absent](Reason.NO_CREDENTIAL)
        if exchange.deprecated:
            marks = (*origin.deprecated, str(exchange.grant_type))
            origin = msgspec.structs.replace(origin, deprecated=marks)
        return TokenRequest(
            origin=origin,
            profile=exchange.profile,
            grant_type=exchange.grant_type,
            credential=presented,
            client=client,
            client_table=exchange.client,
            organisation=slots.get("organisation"),
            organisation_alias=slots.get(exchange.organisation) if exchange.organisation else None,
            scopes=slots.get("scope"),
            resources=slots.get("resource", ()),
            bearer_alias=slots.get(named) if named else None,
            passcode=slots.get(exchange.passcode) if exchange.passcode else None,
            id_profile=exchange.id_profile,
            accepts=accepts,
        )

    return ask


def _naming(client_id: str) -> PresentedCredential:
    """Name a client that needs no secret."""
    return PresentedCredential(kind=CredentialKind.NONE, secret=Secret(""), owner=client_id)


def _presenter(
    exchange: Exchange, route: Route
) -> Callable[[Slots, Secret | None], PresentedCredential | None]:
    """Give the function that finds the credential of an exchange; None where the client's own is it."""
    if exchange.secret:
        names = {field.slot: field.name for field in reversed(route.fields)}
        wanted = names.get(exchange.secret[0], exchange.secret[0])
        return lambda slots, _: _presented(exchange, slots, wanted)
    if exchange.kind is CredentialKind.ACCESS_TOKEN:
        return lambda _, token: _presented_token(token)
    return lambda *_: None


def _presented_token(token: Secret | None) -> PresentedCredential:
    if token is None:
        raise errors.InvalidToken(Reason.TOKEN_MISSING)
    return PresentedCredential(kind=CredentialKind.ACCESS_TOKEN, secret=token, named=OwnerName.SECRET)


def _presented(exchange: Exchange, slots: Slots, wanted: str) -> PresentedCredential:
    """Take the secret that the table prefers; the others that came must be the same."""
    given = [slots[slot] for slot in exchange.secret if slot in slots]
    owner = slots.get(exchange.owner) if exchange.owner else None
    if not given or (exchange.owner and owner is None):
        raise REFUSAL_OF[exchange.absent](Reason.NO_CREDENTIAL, f"{wanted} is required")
    if len({secret.reveal() for secret in given}) > 1:
        raise errors.InvalidRequest(Reason.TWO_AUTHENTICATIONS, f"{wanted} is given twice, and differently")
    named = exchange.named if exchange.owner else OwnerName.SECRET
    return PresentedCredential(kind=exchange.kind, secret=given[0], owner=owner, named=named)


def presented_client(table: ClientAuthentication, slots: Slots) -> PresentedCredential:
    """Say who claims to ask, and by what.

    Raises:
        InvalidClient: Nobody does.
        InvalidRequest: By two ways at once (RFC 6749 section 2.3), or by half of an assertion.
    """
    owner, secret, assertion = slots.get(table.owner), slots.get(table.secret), slots.get(table.assertion)
    if (assertion is None) != (table.assertion_type not in slots):
        raise errors.InvalidRequest(
            Reason.FIELD_MISSING, f"{table.assertion} and {table.assertion_type} come together"
        )
    if secret is not None and assertion is not None:
        raise errors.InvalidRequest(Reason.TWO_AUTHENTICATIONS, "use one way of client authentication")
    if assertion is not None:
        return PresentedCredential(kind=CredentialKind.PUBLIC_KEY, secret=assertion, owner=owner)
    if owner is None:
        raise errors.InvalidClient(Reason.NO_CREDENTIAL)
    if secret is None:
        return PresentedCredential(kind=CredentialKind.NONE, secret=Secret(""), owner=owner)
    return PresentedCredential(kind=CredentialKind.CLIENT_SECRET, secret=secret, owner=owner)


def _questioner(operation: Operation, authentication: ClientAuthentication | None) -> Ask:
    def ask(origin: Origin, slots: Slots, token: Secret | None) -> Question:  # noqa: ARG001 - as any ``Ask``
        return Question(
            origin=origin,
            operation=operation.name,
            client=None if authentication is None else presented_client(authentication, slots),
            token=slots[operation.token],
            accepts=operation.accepts,
            organisation=slots.get("organisation"),
        )

    return ask


def caller(operation: Operation, bearer: Bearer) -> Callable[[Origin, Slots, Secret | None], Call]:
    """Give the function that makes a call of its slots and its token."""

    def ask(origin: Origin, slots: Slots, token: Secret | None) -> Call:
        return Call(
            origin=origin,
            operation=operation.name,
            token=token,
            accepts=bearer.accepts,
            scope=bearer.scope,
            permission=bearer.permission,
            bearer_alias=slots.get(bearer.organisation) if bearer.organisation else None,
            arguments=dict(slots),
        )

    return ask


def _publisher(document: Document) -> Ask:
    def ask(origin: Origin, slots: Slots, token: Secret | None) -> Publication:  # noqa: ARG001 - as any ``Ask``
        return Publication(origin, document, slots.get("organisation"))

    return ask
