"""What the answers of the admin API may show: the facts of each resource, and of each operation.

A fact is named as the record's field that it shows. Its kind says what it is; one that ends in ``?`` may be
None. ``secret`` is clear text that is told once (AD-04).
"""

_LIFE = {"created_at": "instant", "disabled": "flag", "ended_at": "instant?", "version": "number"}
_IN = {"id": "text", "organisation_id": "text", "name": "text"}

CREDENTIAL = {
    **_IN,
    "kind": "text",
    "owner_id": "text",
    "state": "text",
    "standing": "text",
    **_LIFE,
    "ended_why": "text?",
    "expires_at": "instant?",
    "grace_until": "instant?",
    "overlap_until": "instant?",
    "last_used_on": "day?",
    "succeeds": "text?",
    "dialects": "texts",
}
API_TOKEN = {**CREDENTIAL, "scopes": "texts?", "roles": "texts?", "mfa": "flag"}
_TOLD = {"secret": "secret"}

RESOURCES: dict[str, dict[str, str]] = {
    "organisation": {
        "id": "text",
        "slug": "text",
        "name": "text",
        "api_key": "text",
        **_LIFE,
        "erased_at": "instant?",
    },
    "setting": {
        "name": "text",
        "kind": "text",
        "help": "text",
        "value": "any",
        "default": "any",
        "own": "flag",
        "minimum": "number?",
        "maximum": "number?",
        "choices": "texts",
    },
    "client": {
        **_IN,
        **_LIFE,
        "dialects": "texts",
        "grants": "texts",
        "scopes": "texts",
        "audiences": "texts",
        "public": "flag",
        "rights": "texts",
        "max_lifetime_seconds": "number?",
    },
    "credential": CREDENTIAL,
    "new_credential": {**CREDENTIAL, **_TOLD},
    "public_key": {**CREDENTIAL, "public_jwk": "object"},
    "api_token": API_TOKEN,
    "new_api_token": {**API_TOKEN, **_TOLD},
    "admin_token": {
        "id": "text",
        "organisation_id": "text?",
        "name": "text",
        "scopes": "texts",
        "created_at": "instant",
        "expires_at": "instant?",
        "last_used_on": "day?",
        "ended_at": "instant?",
        "ended_why": "text?",
        "version": "number",
    },
    "user": {
        **_IN,
        **_LIFE,
        "service": "flag",
        "display_name": "text",
        "given_name": "text",
        "family_name": "text",
        "email": "text?",
        "email_verified_at": "instant?",
        "mfa_required": "flag",
    },
    "email_code": {"code": "secret"},
    "membership": {
        "id": "text",
        "user_id": "text",
        "organisation_id": "text",
        **_LIFE,
        "roles": "texts",
        "teams": "texts",
    },
    "team": {**_IN, "path": "text", "parent_id": "text?", "created_at": "instant", "version": "number"},
    "project": {**_IN, "teams": "texts", "open": "flag", "created_at": "instant", "version": "number"},
    "entity": {**_IN, **_LIFE, "subject": "text", "type": "text", "users": "texts"},
    "role": {"name": "text", "title": "text", "permissions": "texts"},
    "signing_key": {
        "id": "text",
        "issuer": "text",
        "algorithm": "text",
        "state": "text",
        "published_at": "instant",
        "signs_from": "instant",
        "active_at": "instant?",
        "retires_at": "instant?",
        "public_jwk": "object",
    },
    "rotation": {
        "issuer": "text",
        "algorithm": "text",
        "rotated": "flag",
        "active_at": "instant",
        "key_id": "text?",
        "retires_at": "instant?",
    },
    "withdrawal": {
        "id": "text",
        "issuer": "text",
        "algorithm": "text",
        "was": "text",
        "signs_from": "instant?",
    },
    "audit_row": {
        "id": "text",
        "chain": "text",
        "seq": "number",
        "at": "instant",
        "kind": "text",
        "actor": "text",
        "request_id": "text",
        "outcome": "text",
        "organisation_id": "text?",
        "subject": "text?",
        "reason": "text?",
        "details": "object",
        "personal": "object?",
    },
}
"""Name of a resource -> its facts and what each is."""
RESOURCES["new_admin_token"] = {**RESOURCES["admin_token"], "token": "secret"}

NOTHING = ""
MANY = "*"
"""After a resource's name: a list of them, ``items``, and the ``next`` cursor, None at the end."""

OPERATIONS: dict[str, str] = {
    "setup": "new_admin_token",
    "admin_tokens.list": "admin_token*",
    "admin_tokens.create": "new_admin_token",
    "admin_tokens.show": "admin_token",
    "admin_tokens.end": NOTHING,
    "organisations.list": "organisation*",
    "organisations.create": "organisation",
    "organisations.show": "organisation",
    "organisations.change": "organisation",
    "organisations.disable": "organisation",
    "organisations.enable": "organisation",
    "organisations.delete": NOTHING,
    "settings.list": "setting*",
    "settings.show": "setting",
    "settings.change": "setting",
    "settings.reset": "setting",
    "clients.list": "client*",
    "clients.create": "client",
    "clients.show": "client",
    "clients.change": "client",
    "clients.disable": "client",
    "clients.enable": "client",
    "clients.end": NOTHING,
    "secrets.list": "credential*",
    "secrets.create": "new_credential",
    "secrets.rotate": "new_credential",
    "secrets.show": "credential",
    "secrets.disable": "credential",
    "secrets.enable": "credential",
    "secrets.finish": "credential",
    "secrets.cancel": "credential",
    "secrets.end": NOTHING,
    "public_keys.list": "public_key*",
    "public_keys.create": "public_key",
    "public_keys.show": "public_key",
    "public_keys.disable": "public_key",
    "public_keys.enable": "public_key",
    "public_keys.end": NOTHING,
}
"""Name of an operation, without the ``admin.`` before it, -> the resource that its answer shows."""


def facts_of(operation: str) -> dict[str, str]:
    """Give the facts of an operation's answer and what each is, but for ``items`` of a list."""
    shown = OPERATIONS[operation]
    if shown.endswith(MANY):
        return {"next": "text?"}
    return {} if shown == NOTHING else RESOURCES[shown]


ADMIN_OPERATION_FACTS: dict[str, frozenset[str]] = {
    f"admin.{name}": frozenset(facts_of(name))
    | {"etag", "location"}
    | ({"items"} if shown.endswith(MANY) else set())
    for name, shown in OPERATIONS.items()
}
"""What the answer to each operation may show; ``etag`` is its version, ``location`` where what is new is."""
