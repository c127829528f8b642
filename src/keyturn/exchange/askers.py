"""Who asks in somebody else's name: a client that proves itself, or a contract's built-in one."""

from datetime import datetime

from keyturn.core.errors import InvalidClient, UnauthorizedClient
from keyturn.core.profile import TokenProfile
from keyturn.core.records import BUILT_IN, Client, Organisation
from keyturn.core.requests import (
    Asker,
    BuiltInClient,
    Located,
    Origin,
    PresentedCredential,
    Proof,
    TokenRequest,
)
from keyturn.core.vocabulary import PASSWORD, ClientId, CredentialKind, Reason
from keyturn.exchange.admit import admit_client
from keyturn.exchange.audiences import assertion_audiences
from keyturn.exchange.credentials import check_client, compare_secret, recall_client
from keyturn.exchange.locate import locate
from keyturn.exchange.policy import allows_password
from keyturn.exchange.services import Services
from keyturn.exchange.slow import Recognised


async def prove_client(
    presented: PresentedCredential,
    organisation: str | None,
    profile: TokenProfile | None,
    origin: Origin,
    services: Services,
    now: datetime,
) -> Proof:
    """Authenticate a client: locate and check it, as ``issue`` does.

    Args:
        profile: The token that is asked for or about; None where no signed assertion is expected.

    Raises:
        InvalidClient: It is not who it claims.
    """
    located = await locate(presented, organisation, services.registry)
    return await prove_located(presented, located, profile, origin, services, now)


async def prove_located(
    presented: PresentedCredential,
    located: Located,
    profile: TokenProfile | None,
    origin: Origin,
    services: Services,
    now: datetime,
) -> Proof:
    """Check a client that was located, and count how long that takes.

    Raises:
        InvalidClient: It is not who it claims.
        SlowDown: Too many secrets under a slow hash were checked for it lately.
        Unavailable: Too many are checked now.
    """
    began = services.clock.monotonic()
    known = recall_client(presented, located.view, origin.dialect, services.digester, now)
    if known is not None:
        services.check_times.fast(services.clock.monotonic() - began)
        return known
    slow = await _recognise_client(presented, located, origin, services, now)
    audiences = () if profile is None else assertion_audiences(presented, located, profile, services)
    began = services.clock.monotonic()
    try:
        return check_client(presented, located, origin.dialect, services.digester, now, audiences, slow)
    finally:
        services.check_times.fast(services.clock.monotonic() - began)


async def _recognise_client(
    presented: PresentedCredential, located: Located, origin: Origin, services: Services, now: datetime
) -> Recognised | None:
    """Find what is presented among a client's secrets under a slow hash; hardly any client has one.

    Raises:
        SlowDown: Too many were checked for this client lately.
        Unavailable: Too many are checked now.
    """
    held = () if located.view is None else located.view.credentials
    if all(each.verifier is None for each in held):
        return None
    if compare_secret(presented.secret, held, services.digester) is not None:
        return None  # of two secrets the one under a fast hash
    return await services.slow.recognise(
        presented, held, origin, services.passwords, services.digester, now, services.clock.monotonic()
    )


async def prove_asker(request: TokenRequest, services: Services, now: datetime) -> Asker:
    """Prove whoever asks in a user's or an entity's name, and take a client's place in the limits.

    Raises:
        InvalidClient: It is not who it claims, or not the one client of the contract.
        UnauthorizedClient: It may not use this grant. Said before a password is looked at, so that a grant
            that is off is no place to try passwords.
        SlowDown: A limit of the client is reached.
    """
    if request.client_table is not None:
        _require_built_in(request, request.client_table)
        return Asker(request.client_table.id)
    proof = await prove_client(
        request.client, request.organisation, request.profile, request.origin, services, now
    )
    allowed = request.grant_type in proof.client.grants
    if allowed and request.grant_type == PASSWORD:
        allowed = allows_password(proof.organisation, request.origin, built_in=False)
    if not allowed:
        raise UnauthorizedClient(Reason.GRANT_NOT_ALLOWED, about=proof.about)
    await admit_client(proof, services.limits, services.clock.monotonic())
    return Asker(proof.client.id, proof)


def _require_built_in(request: TokenRequest, table: BuiltInClient) -> None:
    """Refuse a request that names another client than its contract's; many name none at all."""
    client = request.client
    if client is request.credential:
        return
    if client.owner != table.id:
        raise InvalidClient(Reason.UNKNOWN_CLIENT)
    if client.kind is not CredentialKind.NONE:
        raise InvalidClient(Reason.WRONG_SECRET)


def client_of(asker: Asker, request: TokenRequest, organisation: Organisation) -> Client:
    """Give the client of an asker; a built-in one may do anywhere what its contract's table says."""
    if asker.proof is not None:
        return asker.proof.client
    table = request.client_table or BuiltInClient(id=asker.client_id)
    return Client(
        id=ClientId(table.id),
        organisation_id=organisation.id,
        name=table.id,
        created_at=organisation.created_at,
        dialects=(request.profile.dialect,),
        grants=(request.grant_type,),
        scopes=table.scopes,
        audiences=tuple(table.audiences.values()) or (table.id,),
        version=BUILT_IN,
    )
