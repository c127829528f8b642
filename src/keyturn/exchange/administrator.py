"""An administrator's call: is the admin token good, and was it given what the call needs?

The one place where that is asked, before anything of the request is read but its head (AD-01). An admin token
is a secret of ours and no JWT: what signs tokens gives nobody a way in here, and it is found in a table of
its own, so that it is nothing anywhere else (TK-08).
"""

import hashlib
from datetime import datetime

import msgspec

from keyturn.core import actors
from keyturn.core.actors import Actor
from keyturn.core.admin_records import SETUP, AdminToken
from keyturn.core.changes import Replace, Unit
from keyturn.core.errors import Concern, InsufficientScope, InvalidToken
from keyturn.core.records import AuditEvent
from keyturn.core.requests import Origin
from keyturn.core.secret import Secret, parse_secret
from keyturn.core.vocabulary import CredentialKind, Reason
from keyturn.exchange.admit import admit, admit_bearer
from keyturn.exchange.services import Services

_KINDS = {True: CredentialKind.SETUP_TOKEN, False: CredentialKind.ADMIN_TOKEN}


async def identify_administrator(
    presented: Secret | None, scope: str, origin: Origin, services: Services
) -> Actor:
    """Make an Actor of the admin token of a call.

    Raises:
        InvalidToken: It is missing, unknown, ended, expired, or its organisation is not in use.
        InsufficientScope: It is good, but was not given the scope; the words name it.
        SlowDown: A limit of the caller is reached.
        Unavailable: Nobody can tell now whether it is good.
    """
    now = services.clock_watch.latest(services.clock.now())
    await admit(origin, services.limits, services.clock.monotonic())
    token = await _prove(presented, services, now, setup=scope == SETUP)
    about = concern_of(token)
    await admit_bearer(about, services.limits, services.clock.monotonic())
    if not token.setup and not token.covers(scope):
        raise InsufficientScope(Reason.SCOPE_MISSING, f"the token lacks the scope {scope}", about=about)
    token = await _note_use(token, origin, services, now)
    return actors.administrator(token, origin.request_id, origin.address)


def concern_of(token: AdminToken) -> Concern:
    """Say whom a refusal is about that an administrator is given."""
    return Concern(token.organisation_id, token.id, "admin")


async def _prove(presented: Secret | None, services: Services, now: datetime, *, setup: bool) -> AdminToken:
    services.registry.require_fresh()
    if presented is None:
        raise InvalidToken(Reason.TOKEN_MISSING)
    text = presented.reveal()
    if parse_secret(text) is not _KINDS[setup]:
        raise InvalidToken(Reason.TOKEN_REJECTED)
    digest = hashlib.sha256(text.encode()).digest()
    token = await services.registry.find_admin_token(services.digester.lookup_hashes(digest))
    if token is None or token.setup is not setup:
        raise InvalidToken(Reason.TOKEN_REJECTED)
    if not token.is_alive(now):
        raise InvalidToken(Reason.TOKEN_ENDED, about=concern_of(token))
    if token.organisation_id is not None:
        organisation = await services.registry.find_organisation_alias(token.organisation_id)
        if organisation is None or not organisation.usable:
            raise InvalidToken(Reason.ORGANISATION_ENDED, about=concern_of(token))
    return token


async def _note_use(token: AdminToken, origin: Origin, services: Services, now: datetime) -> AdminToken:
    """Note the first use of a day; whoever loses to another use, or to the token's end, notes nothing."""
    if token.setup or (token.last_used_on is not None and token.last_used_on >= now.date()):
        return token
    used = msgspec.structs.replace(token, last_used_on=now.date(), version=token.version + 1)
    event = AuditEvent(
        at=now,
        kind="admin_token.used",
        actor=concern_of(token).actor,
        request_id=origin.request_id,
        organisation_id=token.organisation_id,
        subject=token.id,
        personal={"address": origin.address},
    )
    await services.recorder.record(Unit(audit=event, changes=(Replace(used, token.version),)))
    return used
