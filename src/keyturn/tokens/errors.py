"""Why a token or a key is not accepted.

KeyturnError
├── TokenRejected   a token failed a check; ``why`` says which
└── KeyRejected     a JWK of a key set is dangerous or malformed
"""

from enum import StrEnum

from keyturn.core.errors import KeyturnError


class Rejection(StrEnum):
    """The check that a token failed: for the audit trail and metrics, never for the caller."""

    TOO_LARGE = "token_too_large"
    PARTS = "token_parts"
    EMPTY_PART = "token_empty_part"
    ENCODING = "token_encoding"
    HEADER_JSON = "token_header_json"
    HEADER_MEMBER = "token_header_member"
    KEY_ID = "token_key_id"
    KEY_UNKNOWN = "token_key_unknown"
    ALGORITHM = "token_algorithm"
    HEADER_TYPE = "token_header_type"
    SIGNATURE = "token_signature"
    CLAIMS_JSON = "token_claims_json"
    CLAIM_MISSING = "token_claim_missing"
    CLAIM_INVALID = "token_claim_invalid"
    OWN_CLAIM = "token_own_claim"
    ISSUER = "token_issuer"
    KIND = "token_kind"
    AUDIENCE = "token_audience"
    NOT_YET_VALID = "token_not_yet_valid"
    EXPIRED = "token_expired"
    SUBJECT = "token_subject"
    LIFETIME = "token_lifetime"


class TokenRejected(KeyturnError):
    """A presented token is not accepted; ``why`` is private."""

    def __init__(self, why: Rejection) -> None:
        """Keep the reason, and nothing of the token."""
        super().__init__(why.value)
        self.why = why


class KeyRejected(KeyturnError):
    """A key set holds a key that must not be used; the message says what is wrong, never the key."""
