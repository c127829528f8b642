"""Signing keys, limits and the audit trail."""

from keyturn.admin.ground import call, filter_by, page
from keyturn.core.vocabulary import Algorithm
from keyturn.wire.tables import Field, Source

_READ, _WRITE = "keys:read", "keys:write"
_OWN = "/organisations/{organisation}/signing-keys"
_SHARED = "/shared-issuers/{issuer}/signing-keys"
_SORTS = ("published_at", "id")
_ALGORITHM = Field(
    name="algorithm", slot="algorithm", choices=tuple(each.value for each in Algorithm), blank=True
)


def _filter_instant(name: str) -> Field:
    return Field(name=name, slot=name, source=Source.QUERY, reader="date_time")


ROUTES = (
    page(_OWN, "signing_keys.list", _READ, _SORTS, filter_by("state"), filter_by("algorithm")),
    call("POST", f"{_OWN}/rotate", "signing_keys.rotate", _WRITE, _ALGORITHM),
    call("DELETE", f"{_OWN}/{{signing_key}}", "signing_keys.withdraw", _WRITE),
    page("/shared-issuers", "shared_issuers.list", _READ, ("name",)),
    page(_SHARED, "shared_keys.list", _READ, _SORTS, filter_by("state"), filter_by("algorithm")),
    call("POST", f"{_SHARED}/rotate", "shared_keys.rotate", _WRITE, _ALGORITHM),
    call("DELETE", f"{_SHARED}/{{signing_key}}", "shared_keys.withdraw", _WRITE),
    page("/limits", "limits.list", "organisations:read", ("name",)),
    call(
        "GET",
        "/audit",
        "audit.list",
        "audit:read",
        Field(
            name="limit",
            slot="limit",
            source=Source.QUERY,
            reader="integer",
            minimum=1,
            maximum=200,
            default=50,
        ),
        Field(name="cursor", slot="cursor", source=Source.QUERY, longest=2_000),
        Field(name="organisation", slot="organisation", source=Source.QUERY, longest=255),
        Field(name="client", slot="client", source=Source.QUERY, longest=255),
        *(filter_by(name) for name in ("kind", "actor", "subject", "outcome", "reason", "request_id")),
        _filter_instant("since"),
        _filter_instant("until"),
    ),
    call("GET", "/requests/{request}", "requests.show", "audit:read"),
)
