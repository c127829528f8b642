"""What a request asks for: its slots made into the core's values, and who says it asks.

Slots are the neutral names of a table's fields; from here on no wire name is known.
"""

from collections.abc import Callable
from typing import Any

from keyturn.core import errors
from keyturn.core.requests import Origin, PresentedCredential, Question, TokenRequest
from keyturn.core.secret import Secret
from keyturn.core.vocabulary import Code, CredentialKind, Reason
from keyturn.wire.http import WireRequest
from keyturn.wire.parse import basic
from keyturn.wire.readers import READERS
from keyturn.wire.tables import ClientAuthentication, Conflict, Exchange, Operation, Route

Slots = dict[str, Any]
Asked = TokenRequest | Question
Ask = Callable[[Origin, Slots], Asked]

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
    )
}
"""The codes that a table may name for a field, or for a credential that is not there."""


def merge_basic(request: WireRequest, table: ClientAuthentication, slots: Slots) -> None:
    """Merge HTTP Basic with what the body says, as the table settles a conflict (TE-04).

    Raises:
        InvalidRequest: Two ways at once, or two that disagree, where the table refuses that.
        InvalidClient: The header cannot be read.
    """
    claimed = basic(request, other_schemes_refused=table.other_schemes_refused) if table.basic else None
    if claimed is None:
        return
    try:
        owner, secret = _read_owner(claimed[0]), _read_secret(claimed[1])
    except ValueError:
        raise errors.InvalidClient(Reason.MALFORMED) from None
    in_body = slots.get(table.secret)
    same_owner = slots.get(table.owner, owner) == owner
    if table.conflict is Conflict.BODY_WINS and in_body is not None:
        return
    if table.conflict is Conflict.ONE and (in_body is not None or table.assertion in slots or not same_owner):
        raise errors.InvalidRequest(Reason.TWO_AUTHENTICATIONS, "use one way of client authentication")
    differs = not same_owner or (in_body is not None and in_body.reveal() != claimed[1])
    if table.conflict is Conflict.MUST_AGREE and differs:
        raise errors.InvalidRequest(
            Reason.TWO_AUTHENTICATIONS, "the Authorization header and the body name different clients"
        )
    slots[table.owner] = owner
    if claimed[1]:  # a public client sends an empty one (RFC 6749 section 2.3.1)
        slots[table.secret] = secret


def compile_ask(route: Route) -> Callable[[Slots], Ask | None]:
    """Turn what a route can be asked for into the function that chooses by the ``grant_type`` slot.

    It gives None where the grant type is none of the route's.
    """
    if route.operation is not None:
        question = _questioner(route.operation, route.authentication or ClientAuthentication())
        return lambda _: question
    authentication = route.authentication
    asks = {exchange.wire_grant: _exchanger(exchange, authentication) for exchange in route.exchanges}
    if None in asks:
        alone = asks[None]
        return lambda _: alone
    return lambda slots: asks.get(slots["grant_type"]) if "grant_type" in slots else _ungranted


def _ungranted(origin: Origin, slots: Slots) -> Asked:  # noqa: ARG001 - an ``Ask`` like the others
    """Stand for a request whose missing ``grant_type`` is a problem already."""
    raise errors.InvalidRequest(Reason.FIELD_MISSING, "grant_type is required")


def _exchanger(exchange: Exchange, authentication: ClientAuthentication | None) -> Ask:
    def ask(origin: Origin, slots: Slots) -> TokenRequest:
        credential = _presented(exchange, slots) if exchange.secret else None
        client = credential if authentication is None else presented_client(authentication, slots)
        presented = credential or client
        if presented is None or client is None:
            raise REFUSAL_OF[exchange.absent](Reason.NO_CREDENTIAL)
        return TokenRequest(
            origin=origin,
            profile=exchange.profile,
            grant_type=exchange.grant_type,
            credential=presented,
            client=client,
            organisation=slots.get("organisation"),
            scopes=slots.get("scope"),
            resources=slots.get("resource", ()),
        )

    return ask


def _presented(exchange: Exchange, slots: Slots) -> PresentedCredential:
    secret = next((slots[slot] for slot in exchange.secret if slot in slots), None)
    owner = slots.get(exchange.owner) if exchange.owner else None
    if secret is None or (exchange.owner and owner is None):
        raise REFUSAL_OF[exchange.absent](Reason.NO_CREDENTIAL, f"{exchange.secret[0]} is required")
    return PresentedCredential(kind=exchange.kind, secret=secret, owner=owner)


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


def _questioner(operation: Operation, authentication: ClientAuthentication) -> Ask:
    def ask(origin: Origin, slots: Slots) -> Question:
        return Question(
            origin=origin,
            operation=operation.name,
            client=presented_client(authentication, slots),
            token=slots[operation.token],
            accepts=operation.accepts,
            organisation=slots.get("organisation"),
        )

    return ask
