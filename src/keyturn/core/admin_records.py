"""What the store keeps for the admin API: its tokens, and answers that a repeated request is given again."""

from datetime import date, datetime

import msgspec

from keyturn.core.vocabulary import AdminTokenId, OrganisationId

BASE = "/admin/v1"
"""Below it are all paths of the admin API."""
ALL = "all"
"""The scope that stands for every other."""
SETUP = "setup"
"""What a setup token is for; no other token has it."""
RESOURCES = (
    "admin-tokens",
    "audit",
    "clients",
    "entities",
    "keys",
    "notices",
    "organisations",
    "teams",
    "projects",
    "users",
)
"""What scopes speak of."""
SCOPES = (ALL, *(f"{resource}:{what}" for resource in RESOURCES for what in ("read", "write")))
"""Every scope that an admin token may have."""


class AdminToken(msgspec.Struct, frozen=True, kw_only=True):
    """A secret by which a program or person may administer: an opaque bearer token, no JWT.

    Args:
        organisation_id: The one organisation that it can reach; None for the whole deployment.
        scopes: ``<resource>:read``, ``<resource>:write``, or ``all``.
        setup: It can do nothing but be exchanged for the first admin token, once.
        lookup_hash: HMAC-SHA256 under ``pepper_id`` over the secret's SHA-256.
        last_used_on: The day, not the instant.
    """

    id: AdminTokenId
    name: str
    organisation_id: OrganisationId | None
    scopes: tuple[str, ...]
    created_at: datetime
    lookup_hash: bytes
    pepper_id: str
    setup: bool = False
    expires_at: datetime | None = None
    last_used_on: date | None = None
    ended_at: datetime | None = None
    ended_why: str | None = None
    version: int = 0

    def is_alive(self, now: datetime) -> bool:
        """Tell whether it may be used."""
        return self.ended_at is None and (self.expires_at is None or now < self.expires_at)

    def covers(self, scope: str) -> bool:
        """Tell whether it was given a scope; whoever may write a resource may read it."""
        resource, _, what = scope.partition(":")
        wide = (ALL, scope, f"{resource}:write") if what == "read" else (ALL, scope)
        return any(each in self.scopes for each in wide)


class KeptAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A request that must not be done twice, and what it was answered (``Idempotency-Key``).

    The row is written in the transaction that does what was asked; the answer, which may hold a secret, is
    sealed into it right afterwards.

    Args:
        id: Digest of the token's id and the key.
        organisation_id: Whose things it is about; None for the deployment's.
        request_hash: SHA-256 of method, path and body: another request by the same key is refused.
        answer: Status, headers and body under the master key; None until it is known.
    """

    id: str
    organisation_id: OrganisationId | None
    request_hash: bytes
    created_at: datetime
    expires_at: datetime
    answer: bytes | None = None
    version: int = 0
