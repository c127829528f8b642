"""Step 4: is what is asked allowed, and within what limits? Pure, and the only maker of a ``Decision``."""

from datetime import timedelta

from keyturn.core.errors import InvalidRequest, InvalidScope, InvalidTarget, UnauthorizedClient
from keyturn.core.profile import TokenProfile
from keyturn.core.records import Client, Organisation
from keyturn.core.requests import Authorization, Decision, Origin, Proof, TokenRequest
from keyturn.core.vocabulary import (
    API_TOKEN,
    OFFLINE_ACCESS,
    PASSWORD,
    REFRESH_TOKEN,
    GrantType,
    Reason,
)


def decide(asked: Authorization) -> Decision:
    """Allow what a genuine caller asks, or refuse; never widen and never narrow silently (TE-07).

    Raises:
        UnauthorizedClient: The client may not use this grant.
        InvalidScope: A scope is outside what the client, the credential and an earlier grant allow.
        InvalidTarget: A resource is none of the client's audiences, or of the earlier grant's.
    """
    proof = asked.proof
    # An API token was made for its owner, service account or user, by name: that is the leave to use it.
    if asked.grant_type not in proof.client.grants and asked.grant_type != API_TOKEN:
        raise UnauthorizedClient(Reason.GRANT_NOT_ALLOWED, about=proof.about)
    scopes = _scopes(asked)
    ends_at = None if asked.earlier is None else asked.earlier.ends_at
    begins = asked.earlier is None or ends_at is not None
    renewable = begins and asked.profile.refresh_lifetime_seconds is not None
    return Decision(
        proof=proof,
        basis=asked.basis,
        profile=asked.profile,
        grant_type=asked.grant_type,
        subject=asked.subject,
        scopes=scopes,
        audiences=_audiences(asked, scopes),
        lifetime=cap_lifetime(asked.profile, proof.client, proof.organisation),
        refreshable=renewable and (asked.profile.always_refreshable or OFFLINE_ACCESS in scopes),
        ends_at=ends_at,
    )


def _scopes(asked: Authorization) -> tuple[str, ...]:
    """Grant exactly what is asked, or all that may be had; ``offline_access`` only when named."""
    allowed = _allowed_scopes(asked)
    if asked.scopes is None:
        kept = () if asked.earlier is None else asked.earlier.scopes
        return tuple(scope for scope in allowed if scope != OFFLINE_ACCESS or scope in kept)
    if not set(asked.scopes) <= set(allowed):
        raise InvalidScope(
            Reason.SCOPE_NOT_ALLOWED, "scope is not allowed for this client", about=asked.proof.about
        )
    return asked.scopes


def _allowed_scopes(asked: Authorization) -> list[str]:
    client, credential = asked.proof.client, asked.proof.credential
    ceilings = [
        ceiling
        for ceiling in (
            credential.scopes if credential is not None else None,
            asked.earlier.scopes if asked.earlier is not None else None,
        )
        if ceiling is not None
    ]
    allowed = list(client.scopes)
    for ceiling in ceilings:
        allowed = [scope for scope in allowed if scope in ceiling]
    if REFRESH_TOKEN in client.grants and asked.profile.refresh_lifetime_seconds is not None:
        return allowed
    return [scope for scope in allowed if scope != OFFLINE_ACCESS]


def _audiences(asked: Authorization, scopes: tuple[str, ...]) -> tuple[str, ...]:
    """Choose the token's audience: the resources asked, or the default (RFC 8707 section 2).

    A contract without clients says by scope what its tokens are for.
    """
    allowed = asked.proof.client.audiences
    default = allowed[:1]
    if asked.contract is not None:
        by_scope = asked.contract.audiences
        named = [by_scope[scope] for scope in ("", *scopes) if scope in by_scope]
        default = allowed = tuple(dict.fromkeys(named)) or (asked.contract.id,)
    if asked.earlier is not None:
        # What was taken from the client since is taken from its renewals too.
        default = allowed = tuple(each for each in asked.earlier.audiences if each in allowed)
    if not allowed or not set(asked.resources) <= set(allowed):
        raise InvalidTarget(
            Reason.AUDIENCE_NOT_ALLOWED, "resource is not allowed for this client", about=asked.proof.about
        )
    return tuple(dict.fromkeys(asked.resources)) or default


def cap_lifetime(profile: TokenProfile, client: Client, organisation: Organisation) -> timedelta:
    """Choose the access token's lifetime: the shortest of all ceilings.

    Args:
        profile: Its default holds unless the organisation sets another; its maximum always holds.
        client: Its ``max_lifetime_seconds`` applies.
        organisation: Its setting applies, of the profile's dialect and under the profile's name for it.

    Returns:
        A positive whole number of seconds, as a timedelta.
    """
    seconds = organisation.setting(profile.dialect, profile.lifetime_setting, profile.lifetime_seconds)
    ceilings = [profile.max_lifetime_seconds, client.max_lifetime_seconds or profile.max_lifetime_seconds]
    return timedelta(seconds=min(seconds, *ceilings))


def allows_password(organisation: Organisation, origin: Origin, *, built_in: bool) -> bool:
    """Tell whether passwords may be exchanged: where the contract knows no other way, or by leave (TE-07).

    Where that one way is deprecated, it goes with the organisation's other deprecated forms. This is asked
    with the password's own check and answered like a wrong one, so that what is off tells no password.
    """
    default = built_in
    if PASSWORD in origin.deprecated:
        default = built_in and organisation.setting(origin.dialect, "deprecated_forms", True)
    allowed: bool = organisation.setting(origin.dialect, "password_grant", default)
    return allowed


def require_current_forms(request: TokenRequest, proof: Proof) -> None:
    """Refuse a deprecated form of a request where the organisation switched those off.

    Raises:
        InvalidRequest: It did.
    """
    origin = request.origin
    if origin.deprecated and not proof.organisation.setting(origin.dialect, "deprecated_forms", True):
        told = ", ".join(_for_the_caller(form, request.grant_type) for form in origin.deprecated)
        raise InvalidRequest(Reason.FIELD_INVALID, f"no longer accepted: {told}", about=proof.about)


def _for_the_caller(form: str, grant_type: GrantType) -> str:
    """Say a form in words of the contract; the audit trail's have the core's name of an exchange."""
    if form == grant_type:
        return "this way to ask for a token"
    source, _, field = form.rpartition(":")
    return f"{field} in the {source}" if source else field
