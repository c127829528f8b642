"""The identifiers, kinds and codes that every room shares.

Identifiers are NewTypes over ``str``: a ClientId is not an OrganisationId, and mypy says so.
"""

from enum import StrEnum
from typing import NewType

OrganisationId = NewType("OrganisationId", str)
ClientId = NewType("ClientId", str)
SubjectId = NewType("SubjectId", str)
CredentialId = NewType("CredentialId", str)
FamilyId = NewType("FamilyId", str)
TokenId = NewType("TokenId", str)
KeyId = NewType("KeyId", str)
RequestId = NewType("RequestId", str)

GrantType = NewType("GrantType", str)
CLIENT_CREDENTIALS = GrantType("client_credentials")
REFRESH_TOKEN = GrantType("refresh_token")

INTROSPECT = "introspect"
"""The right to ask about tokens of one's organisation (RFC 7662 section 2.1)."""

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
"""The one value of ``client_assertion_type`` (RFC 7523 section 2.2)."""

OFFLINE_ACCESS = "offline_access"
"""The scope that asks for a refresh token (OpenID Connect Core section 11)."""


class CredentialKind(StrEnum):
    """What a long-lived credential is; the value names it in the store and in the audit trail."""

    CLIENT_SECRET = "client_secret"
    PUBLIC_KEY = "public_key"
    REFRESH_TOKEN = "refresh_token"
    NONE = "none"
    """A public client, which only names itself (RFC 6749 section 2.1)."""


CLIENT_KINDS = (CredentialKind.CLIENT_SECRET, CredentialKind.PUBLIC_KEY)
"""What a client can prove itself with."""


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
    NO_CREDENTIAL = "no_credential"
    WRONG_SECRET = "wrong_secret"
    ASSERTION_MALFORMED = "assertion_malformed"
    ASSERTION_KEY = "assertion_key"
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
    FAULT = "fault"
