"""The front desk: every request comes in here and every answer leaves here.

Raw ASGI, because a framework's request object costs half the throughput (performance.md). The desk reads
by the dialect's table, walks the road that the table names, writes by the table, and is the one place that
catches a ``Refusal`` and audits it.
"""

from collections.abc import Awaitable, Callable, Container, Iterable, Mapping, MutableMapping, Sequence
from typing import Any, cast

import structlog

from keyturn.core.errors import (
    Fault,
    InvalidClient,
    InvalidGrant,
    InvalidToken,
    MethodNotAllowed,
    NotFound,
    Refusal,
    TooLarge,
    Unavailable,
)
from keyturn.core.identifiers import uuid7
from keyturn.core.records import AuditEvent
from keyturn.core.requests import Call, Issued, Origin, Question, TokenRequest
from keyturn.core.vocabulary import (
    API_TOKEN,
    CHANGE_ORGANISATION,
    ENTITY_SECRET,
    PASSWORD,
    REFRESH_TOKEN,
    USER_KEY,
    ClientId,
    Code,
    GrantType,
    Reason,
    RequestId,
)
from keyturn.exchange.admit import TAKEN
from keyturn.exchange.bearer import concern_of, identify
from keyturn.exchange.change import change_organisation
from keyturn.exchange.describe import describe
from keyturn.exchange.grants import GRANTS
from keyturn.exchange.introspect import introspect
from keyturn.exchange.issue import issue
from keyturn.exchange.locate import FROM_MEMORY
from keyturn.exchange.login import log_in
from keyturn.exchange.refresh import refresh
from keyturn.exchange.revoke import revoke
from keyturn.exchange.services import Services
from keyturn.web.added import added_facts, shows_settings
from keyturn.web.address import Network, client_address
from keyturn.web.administration.road import Administration
from keyturn.web.administration.verbs import ADMIN_VERBS
from keyturn.web.cycle import Head
from keyturn.web.descriptions import Descriptions
from keyturn.web.documents import document_facts
from keyturn.web.doors import Door
from keyturn.web.leaks import LEAKS_PATH, LeakReports
from keyturn.web.metrics import NO_GRANT, OK, UNREAD, Metrics
from keyturn.web.protocol import OVERSIZED
from keyturn.web.rate_headers import RateHeaders
from keyturn.web.refusals import Refusals
from keyturn.web.status_lists import StatusLists
from keyturn.web.verbs import VERBS, Ports
from keyturn.wire.ask import Asked, Publication
from keyturn.wire.compile import CompiledRoute, Router
from keyturn.wire.http import WireRequest, WireResponse

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

log = structlog.get_logger("keyturn.desk")

_NOTHING_HERE = WireResponse(
    404,
    b'{"error":"not_found"}',
    (
        (b"content-type", b"application/json"),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ),
)


EXCHANGES: dict[GrantType, Callable[[TokenRequest, Services], Awaitable[Issued]]] = {
    REFRESH_TOKEN: refresh,
    PASSWORD: log_in,
    USER_KEY: log_in,
    API_TOKEN: log_in,
    ENTITY_SECRET: log_in,
    CHANGE_ORGANISATION: change_organisation,
}
"""The exchanges that have a road of their own; every other grant takes ``issue``."""

QUESTIONS: dict[str, Callable[[Question, Services], Awaitable[dict[str, Any]]]] = {
    "introspect": introspect,
    "describe": describe,
    "revoke": revoke,
}
"""Name of an operation in a dialect's table -> its road."""


class InternalError(Refusal):
    """A fault as the caller sees it: ``server_error`` and a request id (HT-08)."""

    code = Code.SERVER_ERROR


class Desk:
    """The public ASGI application.

    Args:
        router: Every route of every dialect that is on.
        refusals: Brings refusals into the audit trail.
        descriptions: Answers paths of no dialect that describe what there is.
        status_lists: Answers paths of no dialect that say which tokens are dead.
        trusted_proxies: Whose ``X-Forwarded-For`` is believed.
        administration: The road of administrators; None where the admin API is off.
        leaks: Takes leak reports; None where nobody may send any.
    """

    def __init__(
        self,
        router: Router,
        urls: dict[str, dict[str, str]],
        services: Services,
        ports: Ports,
        metrics: Metrics,
        refusals: Refusals,
        descriptions: Descriptions,
        status_lists: StatusLists,
        trusted_proxies: Sequence[Network] = (),
        administration: Administration | None = None,
        leaks: LeakReports | None = None,
    ) -> None:
        """Take everything that was assembled."""
        self._router = router
        self._urls = urls
        self._services = services
        self._ports = ports
        self._metrics = metrics
        self._trusted = trusted_proxies
        self._administration = administration
        self._leaks = leaks
        self._refusals = refusals
        self._descriptions = descriptions
        self._status_lists = status_lists
        self._rate_headers = RateHeaders(services.limits.rates)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; lifespan and websocket scopes are not for the desk."""
        if scope["type"] != "http":
            message = f"the desk does not serve {scope['type']}"
            raise Fault(message)
        body = await _read_body(receive)
        if body is None:
            return
        target = scope["raw_path"] + b"?" + scope["query_string"]
        head = Head(scope["method"], target, scope["headers"], scope["client"])
        oversized = OVERSIZED in scope.get("state", ())
        request_id, response = await self.answer(head, body, oversized)
        head_only = head.method == "HEAD"
        await send(
            {
                "type": "http.response.start",
                "status": response.status,
                "headers": [
                    *response.headers,
                    *response.changing,
                    (b"content-length", b"%d" % len(response.body)),
                    (b"x-request-id", request_id),
                ],
            }
        )
        await send({"type": "http.response.body", "body": b"" if head_only else response.body})

    async def answer(self, head: Head, body: bytes, oversized: bool) -> tuple[bytes, WireResponse]:  # noqa: FBT001 - as any ``Answer``
        """Answer one request that is here whole: its request id, and what to send.

        ``web/protocol.py`` calls this past ASGI; the ASGI application above is the same for any server.
        """
        services = self._services
        started = services.clock.monotonic()
        request_id = RequestId(uuid7(services.clock.now(), services.naming))
        door: Door = head.memory or self._door(head)
        route = door.route
        if route is None:
            request = door.request(request_id, body, oversized=oversized)
            if self._leaks is not None and door.path == LEAKS_PATH:
                return request_id.encode(), await self._leaks.answer(request)
            described = self._descriptions.answer(request)
            if described is None:
                described = await self._status_lists.answer(request.method, request.path)
            return request_id.encode(), described or self._nothing_here(request)
        grant, outcome, response = await self._serve(door, route, request_id, body, oversized=oversized)
        took = services.clock.monotonic() - started
        self._metrics.answered(route.dialect, route.table.name, grant, outcome, took)
        return request_id.encode(), response

    def _door(self, head: Head) -> Door:
        """Find where a head leads, and keep that with it."""
        if head.first is not None:
            return cast("Door", head.first.memory).beside(head)
        path = head.path.decode("ascii")
        head.memory = door = Door(head, path, self._router.match(path), self._address(head))
        head.at_once = door.asks
        return door

    def _nothing_here(self, request: WireRequest) -> WireResponse:
        """Answer 404: in a dialect's words next to one of its paths, in nobody's elsewhere."""
        near = self._router.near(request.path)
        if near is None:
            return _NOTHING_HERE
        refusal = NotFound(Reason.MALFORMED, "nothing here")
        return self._told(near, refusal, request)

    def _told(self, route: CompiledRoute, refusal: Refusal, request: WireRequest) -> WireResponse:
        """Write a refusal in the words of a route."""
        now = self._services.clock.now()
        return route.refuse(refusal, request.request_id, uuid7(now, self._services.naming), now)

    def _address(self, head: Head) -> str:
        socket_address = head.client[0] if head.client else ""
        if not self._trusted:
            return socket_address
        forwarded = [value for name, value in head.headers if name == b"x-forwarded-for"]
        return client_address(socket_address, forwarded, self._trusted)

    async def _serve(
        self, door: Door, route: CompiledRoute, request_id: RequestId, body: bytes, *, oversized: bool
    ) -> tuple[str, str, WireResponse]:
        """Walk a request's road; whatever happens becomes an answer in the dialect's own format.

        Returns:
            The grant, how it went (``OK`` or the private reason), and the answer.
        """
        TAKEN.set(None)
        FROM_MEMORY.set(False)
        echoes: Mapping[str, Any] = {}
        grant = UNREAD if route.table.exchanges else NO_GRANT
        try:
            if door.administers and self._administration is not None:
                request = door.request(request_id, body, oversized=oversized)
                answer = await self._administration.answer(door.routes, route, request)
                return NO_GRANT, OK, self._limited(answer)
            asked = None if oversized else door.asked_again(body, request_id)
            if asked is None:
                asked = await self._asked(door, route, door.request(request_id, body, oversized=oversized))
                door.keep(body, asked)
            echoes = asked.origin.echoes
            if isinstance(asked, TokenRequest):
                grant = asked.grant_type
                issued = await EXCHANGES.get(grant, issue)(asked, self._services)
                facts = self._issued_facts(route, asked, issued) if route.added else issued.facts
            elif isinstance(asked, Question):
                facts = await QUESTIONS[asked.operation](asked, self._services)
            elif isinstance(asked, Call):
                facts = await self._call(route, asked)
            else:
                facts = await document_facts(asked, route, self._urls[route.dialect], self._services)
            return grant, OK, self._limited(route.write(facts))
        except Refusal as refusal:
            echoes = echoes or refusal.echoes
            request = door.request(request_id, body, oversized=oversized)
            told = await self._audited(refusal, route, request)
        except Exception as fault:  # noqa: BLE001 - whatever happens is answered
            request = door.request(request_id, body, oversized=oversized)
            told = _broken(fault, route, request)
        told.echoes = echoes
        response = self._told(route, told, request)
        if isinstance(told, MethodNotAllowed):
            allow = (b"allow", ", ".join(_methods(door)).encode())
            response = WireResponse(response.status, response.body, (*response.headers, allow))
        if _is_proven(told, route) or told.reason is Reason.RATE_LIMIT:
            response = self._limited(response)
        return grant, told.reason.value, response

    async def _asked(self, door: Door, route: CompiledRoute, request: WireRequest) -> Asked:
        """Read what is asked, by the route's table."""
        if request.oversized:
            raise TooLarge(Reason.TOO_LARGE, "the body is too large")
        method = "GET" if request.method == "HEAD" else request.method
        if method not in door.routes:
            raise MethodNotAllowed(Reason.METHOD, "method not allowed")
        try:
            return _wanted(route, request) if route.read is None else route.read(request)
        except Refusal:
            if route.knock is not None:
                # Who may not come in is told that, and not what else is wrong with the request.
                await identify(route.knock(request), self._services)
            raise

    def _limited(self, response: WireResponse) -> WireResponse:
        """Tell a caller of its limits: one that was proven or refused for them, lest they name who exists."""
        taken = TAKEN.get()
        if taken is None:
            return response
        changing = (*response.changing, *self._rate_headers.of(taken))
        return WireResponse(response.status, response.body, response.headers, changing)

    def _issued_facts(self, route: CompiledRoute, asked: TokenRequest, issued: Issued) -> dict[str, Any]:
        """Give the facts of an issuance, with those that its answer shows and no road makes."""
        facts, proof = issued.facts, issued.decision.proof
        facts["presented"] = asked.credential.secret
        facts.update(added_facts(route, asked.origin, proof.organisation, proof.notices, self._services))
        return facts

    async def _call(self, route: CompiledRoute, call: Call) -> dict[str, Any]:
        """Make an Actor of a call's token and let it do what it asks, as far as its rights go."""
        actor = await identify(call, self._services)
        try:
            facts = await VERBS[call.operation](actor, call, self._ports)
        except Refusal as refusal:
            # Verbs say why and not to whom; the row of a refusal names who was refused (AD-05).
            refusal.about = refusal.about or concern_of(actor)
            raise
        organisation = await self._ports.store_of(actor).organisation() if shows_settings(route) else None
        notices = facts.pop("notices", ())
        added = added_facts(route, call.origin, organisation, notices, self._services)
        return {**added, **facts, "request_id": call.origin.request_id}

    async def _audited(self, refusal: Refusal, route: CompiledRoute, request: WireRequest) -> Refusal:
        """Record a refusal before it is told; without its row nothing is told but 503 (AD-05, HT-09)."""
        if isinstance(refusal, Unavailable) or route.table.document is not None:
            return refusal
        about = refusal.about
        event = AuditEvent(
            at=self._services.clock.now(),
            kind="call.refused" if route.is_call else "token.refused",
            actor=about.actor if about else "anonymous",
            request_id=request.request_id,
            outcome=refusal.code.value,
            organisation_id=about.organisation_id if about else None,
            subject=about.subject if about else None,
            reason=refusal.reason.value,
            details={"dialect": route.dialect, "route": route.table.name},
            personal={"address": request.address},
        )
        try:
            if isinstance(refusal, InvalidClient) and FROM_MEMORY.get():
                # An unknown client costs a read that finds nothing, so one that memory knew costs one too,
                # also in a flood that is only counted, and also another organisation's (TE-09).
                await self._services.registry.find_client(ClientId(request.request_id))
            await self._refusals.record(event, refusal.consequence)
        except Unavailable as unavailable:
            return unavailable
        except Exception as fault:  # noqa: BLE001 - the same
            return _broken(fault, route, request)
        return refusal


def _broken(fault: Exception, route: CompiledRoute, request: WireRequest) -> InternalError:
    """Keep a fault in the log, under the request id that is all the caller learns (HT-08)."""
    log.error(
        "fault",
        request_id=request.request_id,
        route=route.table.name,
        fault=type(fault).__name__,
        exc_info=fault,
    )
    return InternalError(Reason.FAULT)


def check_roads(routes: Iterable[CompiledRoute]) -> None:
    """Check that every road that a table names is there.

    Raises:
        ValueError: A grant, an operation or a document is none of ours; the message says whose.
    """
    for route in routes:
        table = route.table
        unknown = [
            exchange.grant_type
            for exchange in table.exchanges
            if exchange.grant_type not in {*GRANTS, *EXCHANGES}
        ]
        roads: Container[str] = QUESTIONS if table.bearer is None else VERBS
        if route.is_administration:
            roads = ADMIN_VERBS
        if table.operation is not None and table.operation.name not in roads:
            unknown.append(GrantType(table.operation.name))
        if unknown:
            raise ValueError(f"{route.dialect}.{table.name}: nothing here does {unknown[0]!r}")


def _wanted(route: CompiledRoute, request: WireRequest) -> Publication:
    """Say what is wanted of a published document that reads nothing but its path."""
    if route.table.document is None:
        raise Fault(f"{route.dialect}.{route.table.name} neither reads nor publishes")
    origin = Origin(
        request_id=request.request_id,
        address=request.address,
        dialect=route.dialect,
        route=route.table.name,
    )
    return Publication(origin, route.table.document, request.params.get("organisation"))


def _is_proven(refusal: Refusal, route: CompiledRoute) -> bool:
    """Tell whether a caller has proved to be the one that its refusal is about; who is locked out has not.

    A client that authenticated itself is proven, although its grant is worth nothing.
    """
    if refusal.about is None or refusal.reason is Reason.LOCKED_OUT:
        return False
    if route.table.authentication is not None and not any(each.owner for each in route.table.exchanges):
        return not isinstance(refusal, InvalidClient)
    return not isinstance(refusal, InvalidClient | InvalidGrant | InvalidToken)


def _methods(door: Door) -> list[str]:
    return sorted({*door.routes, *(["HEAD"] if "GET" in door.routes else [])})


async def _read_body(receive: Receive) -> bytes | None:
    """Read the whole body, which ``web/protocol.py`` has bounded; None when the caller went away."""
    message = await receive()
    if message["type"] == "http.disconnect":
        return None
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        return body
    parts = [body]
    while message.get("more_body", False):
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
    return b"".join(parts)
