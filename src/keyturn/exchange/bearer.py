"""A call with an access token of ours: whose is it, is it good for this call, and what may they do now?

The road of calls: verify -> admit -> a directory verb. The token's own claim says whose keys to look for, and
is believed only once those have proved it: the organisation is that claim, whatever the issuer (TN-03).
"""

from datetime import datetime

import msgspec

from keyturn.core import actors
from keyturn.core.actors import Actor
from keyturn.core.errors import Concern, InsufficientScope, InvalidToken
from keyturn.core.profile import TokenProfile
from keyturn.core.records import Credential
from keyturn.core.requests import Call
from keyturn.core.secret import Secret
from keyturn.core.views import ClientView, EntityView, UserView
from keyturn.core.vocabulary import OwnerKind, Reason
from keyturn.exchange.admit import admit, admit_bearer
from keyturn.exchange.reach import require_alias
from keyturn.exchange.roles import permitted_by, roles_in
from keyturn.exchange.services import Services
from keyturn.exchange.standing import OwnerView, ending_of, find_owner
from keyturn.tokens.own import unverified_organisation
from keyturn.tokens.verify import VerifiedClaims


class Bearer(msgspec.Struct, frozen=True):
    """Whoever came in with a good token.

    Args:
        owner: The client, user or entity that the token says it is.
    """

    verified: VerifiedClaims
    owner: OwnerView

    @property
    def about(self) -> Concern:
        """Say whom a refusal is about."""
        own = self.verified.own
        subject = self.owner.entity.id if isinstance(self.owner, EntityView) else self.verified.subject
        return Concern(own.organisation_id, subject, own.owner_kind)

    @property
    def credential(self) -> Credential | None:
        """Give the credential that the token was issued for."""
        wanted = self.verified.own.credential_id
        return next((item for item in self.owner.credentials if item.id == wanted), None)


async def identify(call: Call, services: Services) -> Actor:
    """Make an Actor of a call's token, with the rights it has now (RFC 6750 section 3.1).

    Raises:
        InvalidToken: It is missing, not ours, expired, revoked, or of a kind that is not taken here.
        InsufficientScope: It is good, but not for this call.
        SlowDown: A limit of the caller is reached.
        Unavailable: Nobody can tell now whether it is good.
    """
    now = services.clock_watch.latest(services.clock.now())
    await admit(call.origin, services.limits, services.clock.monotonic())
    bearer = await prove_bearer(call.token, call.accepts, services, now)
    await admit_bearer(bearer.about, services.limits, services.clock.monotonic())
    organisation_id = bearer.verified.own.organisation_id
    await require_alias(call.bearer_alias, organisation_id, bearer.about, services.registry)
    if call.scope is not None and call.scope not in _scopes(bearer.verified):
        raise InsufficientScope(Reason.SCOPE_MISSING, "the token lacks a scope", about=bearer.about)
    actor = _actor(bearer, call.accepts, services)
    if call.permission is not None and not actor.may(call.permission):
        raise InsufficientScope(Reason.PERMISSION_MISSING, "not permitted", about=bearer.about)
    return actor


async def prove_bearer(
    token: Secret | None, accepts: tuple[TokenProfile, ...], services: Services, now: datetime
) -> Bearer:
    """Prove a token of one of some profiles, and that all it rests on is in force.

    Raises:
        InvalidToken: It is missing, or not that.
        Unavailable: Nobody can tell now.
    """
    services.registry.require_fresh()
    if token is None:
        raise InvalidToken(Reason.TOKEN_MISSING)
    claimed = unverified_organisation(token.reveal())
    organisation = None if claimed is None else await services.registry.find_organisation_alias(claimed)
    if organisation is None:
        raise InvalidToken(Reason.TOKEN_REJECTED)
    verified = await services.own_tokens.verify(token, accepts, organisation, now)
    if verified is None or verified.own.organisation_id != organisation.id:
        raise InvalidToken(Reason.TOKEN_REJECTED)
    # Who they are is read first: a later view may have epochs that the token was never compared with.
    owner = await find_owner(verified.own.owner_kind, verified.subject, services.registry)
    ending = await ending_of(verified, services.registry, services.revocations, now)
    if owner is None:
        raise InvalidToken(Reason.TOKEN_ENDED)
    bearer = Bearer(verified, owner)
    if ending is not None:
        raise InvalidToken(Reason.TOKEN_ENDED, about=bearer.about)
    return bearer


def concern_of(actor: Actor) -> Concern | None:
    """Say whom a refusal is about that a verb gives whoever came in with a token."""
    kind, _, subject = actor.name.partition(":")
    if actor.organisation_id is None:
        return None
    return Concern(actor.organisation_id, subject, OwnerKind(kind))


def _scopes(verified: VerifiedClaims) -> tuple[str, ...]:
    """Read the scopes a token was granted, which contracts write as words or as a list."""
    scope = verified.claims.get("scope", "")
    return tuple(scope) if isinstance(scope, list) else tuple(str(scope).split())


def _actor(bearer: Bearer, accepts: tuple[TokenProfile, ...], services: Services) -> Actor:
    """Make the Actor; whoever is no user has no role, so nothing that needs one is permitted."""
    own, owner = bearer.verified.own, bearer.owner
    if not isinstance(owner, UserView):
        return Actor(
            bearer.about.actor,
            own.organisation_id,
            frozenset(),
            client=owner.client if isinstance(owner, ClientView) else None,
            organisation=owner.organisation,
        )
    place = owner.place_in(own.organisation_id)
    if place is None:
        return Actor(bearer.about.actor, own.organisation_id, frozenset())
    organisation, membership = place
    dialect = next(profile.dialect for profile in accepts if profile.kind == own.kind)
    names = roles_in(dialect, membership, bearer.credential)
    actor = actors.user(owner.user, membership, permitted_by(dialect, names, services.roles))
    return msgspec.structs.replace(
        actor, home=owner.home, organisation=organisation, roles=names, places=owner.places
    )
