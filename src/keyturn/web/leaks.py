"""Leak reports: ``POST /leak-reports``, in the shape in which GitHub tells its secret scanning partners.

    POST /leak-reports
    Github-Public-Key-Identifier: f9525bf0...
    Github-Public-Key-Signature: MEUCIQ... (ECDSA P-256, SHA-256 over the body as sent; DER in base64)
    [{"token": "kt_cs_...", "type": "keyturn_client_secret", "url": "https://...", "source": "content"}]

    200 [{"token_hash": "...", "token_type": "keyturn_client_secret", "label": "true_positive"}]

Nothing of the body is parsed before the signature is proved, and who fails that learns nothing but so.
Keys come from the settings and are never fetched. Source: GitHub's secret scanning partner program.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from functools import partial

import msgspec
import structlog
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from keyturn.core.errors import (
    InvalidRequest,
    InvalidToken,
    MethodNotAllowed,
    Refusal,
    SlowDown,
    TooLarge,
    Unavailable,
)
from keyturn.core.json_guard import BadJson, decode_json
from keyturn.core.profile import TokenProfile
from keyturn.core.records import AuditEvent
from keyturn.core.requests import Origin
from keyturn.core.secret import Secret
from keyturn.core.store_ports import DeploymentStore
from keyturn.core.vocabulary import Reason
from keyturn.exchange.admit import admit
from keyturn.exchange.leaks import LeakReport, MasterKeyIn, take_leak
from keyturn.exchange.services import Services
from keyturn.web.refusals import Refusals
from keyturn.wire.http import WireRequest, WireResponse

LEAKS_PATH = "/leak-reports"
MOST_BYTES = 1024 * 1024
MOST_REPORTS = 500
MOST_TOKEN_CHARS = 8_192
MOST_WORD_CHARS = 4_096
_SIGNATURE_CHARS = 200
_MAX_DEPTH = 3

_HEADERS = (
    (b"content-type", b"application/json"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
)
_STATUSES: dict[type[Refusal], int] = {
    MethodNotAllowed: 405,
    TooLarge: 413,
    InvalidToken: 401,
    InvalidRequest: 400,
    SlowDown: 429,
    Unavailable: 503,
}

log = structlog.get_logger("keyturn.leaks")


class _Match(msgspec.Struct, frozen=True):
    """One text that was found, as it is reported."""

    token: str
    type: str
    url: str = ""
    source: str = ""


class LeakReports:
    """Takes leak reports.

    Args:
        keys: Whose signature is believed, by key id.
        store: Where secrets are looked up, whoever owns them.
        profiles: Every kind of token there is.
        refusals: Brings refusals into the audit trail.
        master_key_in: Knows the deployment's master keys.
    """

    def __init__(
        self,
        keys: Mapping[str, EllipticCurvePublicKey],
        services: Services,
        store: DeploymentStore,
        profiles: Sequence[TokenProfile],
        refusals: Refusals,
        master_key_in: MasterKeyIn,
    ) -> None:
        """Take everything that was assembled."""
        self._keys = dict(keys)
        self._services = services
        self._store = store
        self._profiles = tuple(profiles)
        self._refusals = refusals
        self._master_key_in = master_key_in

    async def answer(self, request: WireRequest) -> WireResponse:
        """Answer one request; a refusal is audited before it is told (AD-05)."""
        try:
            return _response(200, await self._take(request))
        except Refusal as refusal:
            return _refused(await self._audited(refusal, request))
        except Exception:
            log.exception("fault", request_id=request.request_id)
            return _response(500, {"error": "server_error"})

    async def _take(self, request: WireRequest) -> list[dict[str, str]]:
        services = self._services
        if request.method != "POST":
            raise MethodNotAllowed(Reason.METHOD)
        origin = Origin(
            request_id=request.request_id, address=request.address, dialect="leaks", route="report"
        )
        await admit(origin, services.limits, services.clock.monotonic())
        if request.oversized or len(request.body) > MOST_BYTES:
            raise TooLarge(Reason.TOO_LARGE)
        reporter = self._prove(request)
        make = partial(LeakReport, reporter=reporter, address=request.address, request_id=request.request_id)
        now = services.clock_watch.latest(services.clock.now())
        services.registry.require_fresh()
        told = []
        for match in _matches(request.body):
            token = Secret(match.token)
            report = make(token=token, url=match.url, source=match.source)
            ours = await take_leak(report, services, self._store, self._profiles, self._master_key_in, now)
            told.append(_told(match, ours=ours))
        return told

    def _prove(self, request: WireRequest) -> str:
        """Prove who reports, over the bytes as they came; one refusal for everything that is wrong.

        Returns:
            The id of the key.
        """
        refused = InvalidToken(Reason.TOKEN_REJECTED)
        named = request.header(b"github-public-key-identifier")
        signed = request.header(b"github-public-key-signature")
        if len(named) != 1 or len(signed) != 1 or len(signed[0]) > _SIGNATURE_CHARS:
            raise refused
        key_id = named[0].decode("latin-1")
        key = self._keys.get(key_id)
        if key is None:
            raise refused
        try:
            key.verify(base64.b64decode(signed[0], validate=True), request.body, ECDSA(SHA256()))
        except (InvalidSignature, binascii.Error, ValueError):
            raise refused from None
        return key_id

    async def _audited(self, refusal: Refusal, request: WireRequest) -> Refusal:
        """Record a refusal, or count it with those like it; without its row nothing is told but 503."""
        if isinstance(refusal, Unavailable):
            return refusal
        event = AuditEvent(
            at=self._services.clock.now(),
            kind="leak_report.refused",
            actor="anonymous",
            request_id=request.request_id,
            outcome=refusal.code.value,
            reason=refusal.reason.value,
            details={"route": LEAKS_PATH},
            personal={"address": request.address},
        )
        try:
            await self._refusals.record(event, ())
        except Unavailable as unavailable:
            return unavailable
        return refusal


def load_keys(pems: Mapping[str, str]) -> dict[str, EllipticCurvePublicKey]:
    """Read the public keys of reporters; the settings were checked to hold such."""
    keys = {key_id: load_pem_public_key(pem.encode()) for key_id, pem in pems.items()}
    return {key_id: key for key_id, key in keys.items() if isinstance(key, EllipticCurvePublicKey)}


def _matches(body: bytes) -> Sequence[_Match]:
    """Read what was found: a JSON list of bounded length, of members that we know and others that we skip.

    Raises:
        InvalidRequest: It is something else.
    """
    try:
        found = msgspec.convert(decode_json(body, max_depth=_MAX_DEPTH), list[_Match])
    except (BadJson, msgspec.ValidationError):
        raise InvalidRequest(Reason.MALFORMED) from None
    long = any(
        len(each.token) > MOST_TOKEN_CHARS
        or max(len(each.type), len(each.url), len(each.source)) > MOST_WORD_CHARS
        for each in found[:MOST_REPORTS]
    )
    if len(found) > MOST_REPORTS or long:
        raise InvalidRequest(Reason.FIELD_INVALID)
    return found


def _told(match: _Match, *, ours: bool) -> dict[str, str]:
    """Say of one text whether it is ours; by its hash, so that the answer repeats no secret."""
    return {
        "token_hash": hashlib.sha256(match.token.encode()).hexdigest(),
        "token_type": match.type,
        "label": "true_positive" if ours else "false_positive",
    }


def _refused(refusal: Refusal) -> WireResponse:
    status = next((code for kind, code in _STATUSES.items() if isinstance(refusal, kind)), 500)
    response = _response(status, {"error": refusal.code.value})
    more = []
    if isinstance(refusal, MethodNotAllowed):
        more.append((b"allow", b"POST"))
    if isinstance(refusal, SlowDown | Unavailable):
        more.append((b"retry-after", b"%d" % max(1, refusal.retry_after)))
    return WireResponse(response.status, response.body, (*response.headers, *more))


def _response(status: int, body: object) -> WireResponse:
    return WireResponse(status, msgspec.json.encode(body), _HEADERS)
