"""The identifiers, kinds and codes that every room shares.

Identifiers are NewTypes over ``str``: a ClientId is not an OrganisationId, and mypy says so.
"""

from enum import StrEnum
from typing import NewType

OrganisationId = NewType("OrganisationId", str)
ClientId = NewType("ClientId", str)
SubjectId = NewType("SubjectId", str)
UserId = NewType("UserId", str)
MembershipId = NewType("MembershipId", str)
TeamId = NewType("TeamId", str)
ProjectId = NewType("ProjectId", str)
EntityId = NewType("EntityId", str)
CredentialId = NewType("CredentialId", str)
FamilyId = NewType("FamilyId", str)
TokenId = NewType("TokenId", str)
KeyId = NewType("KeyId", str)
RequestId = NewType("RequestId", str)
AdminTokenId = NewType("AdminTokenId", str)

GrantType = NewType("GrantType", str)
CLIENT_CREDENTIALS = GrantType("client_credentials")
REFRESH_TOKEN = GrantType("refresh_token")
PASSWORD = GrantType("password")
"""RFC 6749 section 4.3; only where an organisation allows it, or a vendor's contract knows no other way."""
USER_KEY = GrantType("user_key")
API_TOKEN = GrantType("api_token")
ENTITY_SECRET = GrantType("entity_secret")
CHANGE_ORGANISATION = GrantType("change_organisation")
"""A living access token of a user for one of another organisation that the user is a member of."""

INTROSPECT = "introspect"
"""The right to ask about tokens of one's organisation (RFC 7662 section 2.1)."""

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
"""The one value of ``client_assertion_type`` (RFC 7523 section 2.2)."""

OPENID = "openid"
"""The scope that asks for an ID token (OpenID Connect Core section 3.1.2.1)."""

OFFLINE_ACCESS = "offline_access"
"""The scope that asks for a refresh token (OpenID Connect Core section 11)."""


class CredentialKind(StrEnum):
    """What a long-lived credential is; the value names it in the store and in the audit trail."""

    CLIENT_SECRET = "client_secret"
    PUBLIC_KEY = "public_key"
    PASSWORD = "password"
    TOTP = "totp"
    RECOVERY_CODE = "recovery_code"
    USER_KEY = "user_key"
    API_TOKEN = "api_token"
    ENTITY_SECRET = "entity_secret"
    REFRESH_TOKEN = "refresh_token"
    ADMIN_TOKEN = "admin_token"
    """What the admin API takes; it has a table of its own, so that no other road finds one (TK-08)."""
    SETUP_TOKEN = "setup_token"
    """What the first admin token is exchanged for, once."""
    ACCESS_TOKEN = "access_token"
    """A token of ours, shown to get another one; it has no row in the store."""
    NONE = "none"
    """A public client, which only names itself (RFC 6749 section 2.1)."""


CLIENT_KINDS = (CredentialKind.CLIENT_SECRET, CredentialKind.PUBLIC_KEY)
"""What a client can prove itself with."""


class OwnerName(StrEnum):
    """How a presented credential says whose it is."""

    CLIENT_ID = "client_id"
    USER_NAME = "user_name"
    """Found only among the users at home in the organisation that the request names."""
    EMAIL = "email"
    ENTITY_ID = "entity_id"
    SECRET = "secret"
    """Not at all: it is found by its digest, across the deployment."""


class OwnerKind(StrEnum):
    """What the subject of a token is."""

    CLIENT = "client"
    USER = "user"
    ENTITY = "entity"


PROJECTS_VIEW = "projects.view"
PROJECTS_CREATE = "projects.create"
PROJECTS_CHANGE = "projects.change"
PROJECTS_DELETE = "projects.delete"
SECRETS_READ = "secrets.read"
SECRETS_RESET = "secrets.reset"
PERMISSIONS = (
    PROJECTS_VIEW,
    PROJECTS_CREATE,
    PROJECTS_CHANGE,
    PROJECTS_DELETE,
    SECRETS_READ,
    SECRETS_RESET,
)
"""What a role of a dialect may permit; which role permits what is in the dialect's table."""


class Algorithm(StrEnum):
    """The signing algorithms there are: asymmetric only (RFC 8725 section 3.1)."""

    ES256 = "ES256"
    RS256 = "RS256"
    EDDSA = "EdDSA"


class Code(StrEnum):
    """Public refusal codes: what a dialect's table translates into its contract's words."""

    INVALID_REQUEST = "invalid_request"
    INVALID_CLIENT = "invalid_client"
    INVALID_GRANT = "invalid_grant"
    INVALID_SCOPE = "invalid_scope"
    INVALID_TARGET = "invalid_target"
    UNAUTHORIZED_CLIENT = "unauthorized_client"
    INVALID_TOKEN = "invalid_token"
    INSUFFICIENT_SCOPE = "insufficient_scope"
    PASSCODE_REQUIRED = "passcode_required"
    INVALID_PASSCODE = "invalid_passcode"
    CONFLICT = "conflict"
    PRECONDITION_REQUIRED = "precondition_required"
    PRECONDITION_FAILED = "precondition_failed"
    KEY_REUSED = "idempotency_key_reused"
    UNSUPPORTED_GRANT_TYPE = "unsupported_grant_type"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    TOO_LARGE = "too_large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    SLOW_DOWN = "slow_down"
    TEMPORARILY_UNAVAILABLE = "temporarily_unavailable"
    SERVER_ERROR = "server_error"


class Reason(StrEnum):
    """Why a request was refused: for the audit trail and metrics, never for the caller."""

    MALFORMED = "malformed"
    FIELD_MISSING = "field_missing"
    FIELD_INVALID = "field_invalid"
    FIELD_REPEATED = "field_repeated"
    FIELD_UNKNOWN = "field_unknown"
    CREDENTIAL_IN_QUERY = "credential_in_query"
    TWO_AUTHENTICATIONS = "two_authentications"
    MEDIA_TYPE = "media_type"
    METHOD = "method"
    TOO_LARGE = "too_large"
    GRANT_UNKNOWN = "grant_unknown"
    GRANT_NOT_ALLOWED = "grant_not_allowed"
    UNKNOWN_ORGANISATION = "unknown_organisation"
    ORGANISATION_ENDED = "organisation_ended"
    UNKNOWN_CLIENT = "unknown_client"
    CLIENT_DISABLED = "client_disabled"
    WRONG_DIALECT = "wrong_dialect"
    UNKNOWN_USER = "unknown_user"
    USER_DISABLED = "user_disabled"
    EMAIL_UNPROVED = "email_unproved"
    NO_MEMBERSHIP = "no_membership"
    MEMBERSHIP_DISABLED = "membership_disabled"
    WRONG_PASSWORD = "wrong_password"
    PASSCODE_MISSING = "passcode_missing"
    PASSCODE_WRONG = "passcode_wrong"
    PASSCODE_REPLAYED = "passcode_replayed"
    PASSCODE_IMPOSSIBLE = "passcode_impossible"
    UNKNOWN_ENTITY = "unknown_entity"
    ENTITY_DISABLED = "entity_disabled"
    ENTITY_NOT_LINKED = "entity_not_linked"
    TOKEN_MISSING = "token_missing"
    TOKEN_REJECTED = "token_rejected"
    TOKEN_ENDED = "token_ended"
    OTHER_ORGANISATION = "other_organisation"
    SCOPE_MISSING = "scope_missing"
    PERMISSION_MISSING = "permission_missing"
    NOT_VISIBLE = "not_visible"
    NAME_TAKEN = "name_taken"
    NOT_LIVING = "not_living"
    VERSION_STALE = "version_stale"
    KEY_REUSED = "idempotency_key_reused"
    ANSWER_PENDING = "answer_pending"
    CURSOR_REJECTED = "cursor_rejected"
    NO_CREDENTIAL = "no_credential"
    WRONG_SECRET = "wrong_secret"
    ASSERTION_MALFORMED = "assertion_malformed"
    ASSERTION_SIGNATURE = "assertion_signature"
    ASSERTION_CLIENT = "assertion_client"
    ASSERTION_AUDIENCE = "assertion_audience"
    ASSERTION_TIME = "assertion_time"
    ASSERTION_REPLAYED = "assertion_replayed"
    SECRET_PENDING = "secret_pending"
    SECRET_DISABLED = "secret_disabled"
    SECRET_EXPIRED = "secret_expired"
    SECRET_DORMANT = "secret_dormant"
    SECRET_ENDED = "secret_ended"
    UNKNOWN_REFRESH_TOKEN = "unknown_refresh_token"
    REFRESH_TOKEN_REPLAYED = "refresh_token_replayed"
    REFRESH_TOKEN_EXPIRED = "refresh_token_expired"
    FAMILY_ENDED = "family_ended"
    FAMILY_OUTDATED = "family_outdated"
    OTHER_CLIENT = "other_client"
    RIGHT_MISSING = "right_missing"
    SCOPE_NOT_ALLOWED = "scope_not_allowed"
    AUDIENCE_NOT_ALLOWED = "audience_not_allowed"
    RATE_LIMIT = "rate_limit"
    LOCKED_OUT = "locked_out"
    LOST_RACE = "lost_race"
    STORE_UNAVAILABLE = "store_unavailable"
    CACHE_STALE = "cache_stale"
    KEY_UNAVAILABLE = "key_unavailable"
    CLOCK_UNUSABLE = "clock_unusable"
    HASHING_BUSY = "hashing_busy"
    FAULT = "fault"
