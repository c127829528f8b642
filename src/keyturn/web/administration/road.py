"""The road of administrators: prove -> scope -> read -> verb -> record -> write.

Unlike a call with an access token it is proved before its body is looked at, and its verbs speak the plain
words of operators, which are turned into refusals here.
"""

import hashlib
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import timedelta

import msgspec

from keyturn.core.actors import Actor
from keyturn.core.admin_records import KeptAnswer
from keyturn.core.changes import Replace, Unit
from keyturn.core.errors import (
    Clash,
    Conflict,
    Fault,
    InsufficientScope,
    InvalidGrant,
    InvalidRequest,
    KeyReused,
    MethodNotAllowed,
    NotFound,
    NothingThere,
    NotPermitted,
    OperatorError,
    PreconditionFailed,
    Refusal,
    TooLarge,
)
from keyturn.core.records import AuditEvent
from keyturn.core.requests import Call, Origin
from keyturn.core.sealed_values import open_value, place_of
from keyturn.core.vocabulary import Reason
from keyturn.exchange.administrator import concern_of, identify_administrator
from keyturn.exchange.services import Services
from keyturn.web.administration.ground import AdminPorts, AdminVerb
from keyturn.wire.compile import CompiledRoute
from keyturn.wire.http import WireRequest, WireResponse
from keyturn.wire.parse import bearer

KEPT_FOR = timedelta(days=1)

_Answer = Callable[[AdminPorts], Awaitable[WireResponse]]


class _Sent(msgspec.Struct, frozen=True, array_like=True):
    """An answer as it is sealed."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    changing: tuple[tuple[bytes, bytes], ...]


class Administration:
    """Walks the road of administrators.

    Args:
        services: Prove who calls.
        ports: What verbs work with.
        verbs: Name of an operation -> what does it.
    """

    def __init__(self, services: Services, ports: AdminPorts, verbs: Mapping[str, AdminVerb]) -> None:
        """Take what was assembled."""
        self._services = services
        self._ports = ports
        self._verbs = verbs

    async def answer(
        self, methods: Collection[str], route: CompiledRoute, request: WireRequest
    ) -> WireResponse:
        """Answer a call, or refuse it; ``methods`` are those of its path."""
        table = route.table.bearer
        if table is None or table.scope is None:
            raise Fault(f"{route.table.name} does not say what a token must be given")
        origin = Origin(
            request_id=request.request_id,
            address=request.address,
            dialect=route.dialect,
            route=route.table.name,
        )
        actor = await identify_administrator(bearer(request, table), table.scope, origin, self._services)
        try:
            return await self._served(actor, methods, route, request)
        except OperatorError as error:
            refusal: Refusal = _refusal_of(error, route)
        except InvalidGrant as none:
            # What a contract calls an invalid grant is here a resource that does not exist.
            refusal = NotFound(none.reason, none.description or none.reason.replace("_", " "))
        except Conflict as conflict:
            refusal = conflict
            if conflict.reason is Reason.LOST_RACE and route.table.versioned is not None:
                refusal = _stale()
        except Refusal as told:
            refusal = told
        if refusal.about is None and actor.admin_token is not None:
            refusal.about = concern_of(actor.admin_token)
        raise refusal

    async def _served(
        self, actor: Actor, methods: Collection[str], route: CompiledRoute, request: WireRequest
    ) -> WireResponse:
        method = "GET" if request.method == "HEAD" else request.method
        if method not in methods:
            raise MethodNotAllowed(Reason.METHOD, "method not allowed")
        if request.oversized:
            raise TooLarge(Reason.TOO_LARGE, "the body is too large")
        call = None if route.read is None else route.read(request)
        if not isinstance(call, Call):
            raise Fault(f"{route.table.name} reads no call")

        async def do(ports: AdminPorts) -> WireResponse:
            return route.write(await self._verbs[call.operation](actor, call, ports))

        key = call.arguments.get("idempotency_key")
        return await (do(self._ports) if key is None else self._once(key, actor, request, do))

    async def _once(self, key: str, actor: Actor, request: WireRequest, do: _Answer) -> WireResponse:
        """Do what a request asks, unless it was done; the row of it is in the transaction that does it."""
        deployment, now = self._ports.deployment, self._services.clock.now()
        answer_id = hashlib.sha256(f"{actor.name}\n{key}".encode()).hexdigest()
        before = await deployment.kept_answer(answer_id)
        if before is not None and now < before.expires_at:
            return self._again(before, request)
        fresh = KeptAnswer(
            id=answer_id,
            organisation_id=None,
            request_hash=_hash_of(request),
            created_at=now,
            expires_at=now + KEPT_FOR,
            version=0 if before is None else before.version + 1,
        )
        try:
            response = await do(msgspec.structs.replace(self._ports, kept=fresh, kept_before=before))
        except (Clash, Conflict):
            meanwhile = await deployment.kept_answer(answer_id)
            if meanwhile is not None and meanwhile != before:
                return self._again(meanwhile, request)
            raise
        await self._keep(answer_id, response, actor, request)
        return response

    def _again(self, kept: KeptAnswer, request: WireRequest) -> WireResponse:
        """Give the first answer again.

        Raises:
            KeyReused: It was another request.
            Conflict: It was done, but its answer is not known yet, or was lost in a crash.
        """
        if kept.request_hash != _hash_of(request):
            raise KeyReused(Reason.KEY_REUSED, "this key came with another request")
        if kept.answer is None:
            raise Conflict(
                Reason.ANSWER_PENDING, "it was done already, but what was answered is not known; look it up"
            )
        clear = open_value(kept, self._ports.sealer)
        sent = msgspec.msgpack.decode(clear, type=_Sent)
        return WireResponse(sent.status, sent.body, sent.headers, sent.changing)

    async def _keep(self, answer_id: str, response: WireResponse, actor: Actor, request: WireRequest) -> None:
        """Seal the answer into its row, so that a repetition is told the same, a secret too."""
        kept = await self._ports.deployment.kept_answer(answer_id)
        if kept is None:
            raise Fault("a request by an idempotency key was done without its row")
        sent = _Sent(response.status, response.body, response.headers, response.changing)
        sealed = self._ports.sealer.seal(*place_of(kept), msgspec.msgpack.encode(sent))
        event = AuditEvent(
            at=kept.created_at,
            kind="answer.kept",
            actor=actor.name,
            request_id=request.request_id,
            organisation_id=kept.organisation_id,
        )
        changed = msgspec.structs.replace(kept, answer=sealed, version=kept.version + 1)
        await self._ports.deployment.record(Unit(audit=event, changes=(Replace(changed, kept.version),)))


def _hash_of(request: WireRequest) -> bytes:
    parts = (request.method.encode(), request.path.encode(), request.query, request.body)
    return hashlib.sha256(b"\n".join(hashlib.sha256(part).digest() for part in parts)).digest()


def _stale() -> PreconditionFailed:
    return PreconditionFailed(Reason.VERSION_STALE, "it was changed since that version")


def _refusal_of(error: OperatorError, route: CompiledRoute) -> Refusal:
    """Say as a refusal what a verb said in plain words."""
    match error:
        case NothingThere():
            return NotFound(Reason.NOT_VISIBLE, str(error))
        case NotPermitted():
            return InsufficientScope(Reason.PERMISSION_MISSING, str(error))
        case Clash(lost_race=True):
            if route.table.versioned is not None:
                return _stale()
            return Conflict(Reason.LOST_RACE, str(error))
        case Clash():
            return Conflict(Reason.NOT_LIVING, str(error))
        case _:
            return InvalidRequest(Reason.FIELD_INVALID, str(error))
