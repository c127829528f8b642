"""Admin tokens, organisations and their settings."""

from keyturn.admin.ground import (
    LIFE_FILTERS,
    WHY,
    actions,
    call,
    end,
    filter_by,
    instant,
    page,
    text,
    texts,
)
from keyturn.core.admin_records import SETUP
from keyturn.wire.tables import Field

_READ, _WRITE = "organisations:read", "organisations:write"
_ONE = "/organisations/{organisation}"
_TOKENS = "/admin-tokens"

ROUTES = (
    call("POST", "/setup", "setup", SETUP, text("name"), status=201),
    page(_TOKENS, "admin_tokens.list", "admin-tokens:read", ("created_at", "name"), filter_by("name")),
    call(
        "POST",
        _TOKENS,
        "admin_tokens.create",
        "admin-tokens:write",
        text("name", required=True),
        texts("scopes", required=True),
        text("organisation"),
        instant("expires_at"),
        status=201,
        once=True,
    ),
    call("GET", f"{_TOKENS}/{{admin_token}}", "admin_tokens.show", "admin-tokens:read"),
    end(f"{_TOKENS}/{{admin_token}}", "admin_tokens.end", "admin-tokens:write", WHY),
    page(
        "/organisations",
        "organisations.list",
        _READ,
        ("created_at", "name", "slug"),
        *LIFE_FILTERS,
        filter_by("slug"),
    ),
    call(
        "POST",
        "/organisations",
        "organisations.create",
        _WRITE,
        text("slug", required=True),
        text("name", required=True),
        status=201,
        once=True,
    ),
    call("GET", _ONE, "organisations.show", _READ),
    call("PATCH", _ONE, "organisations.change", _WRITE, text("name"), versioned="organisation"),
    *actions(_ONE, "organisations", _WRITE, "disable", "enable"),
    end(_ONE, "organisations.delete", _WRITE),
    call("GET", f"{_ONE}/deletion", "organisations.deletion", _READ),
    page(f"{_ONE}/settings", "settings.list", _READ, ("name",)),
    call("GET", f"{_ONE}/settings/{{setting}}", "settings.show", _READ),
    call(
        "PUT",
        f"{_ONE}/settings/{{setting}}",
        "settings.change",
        _WRITE,
        Field(name="value", slot="value", reader="scalar", required=True, blank=True),
    ),
    call("DELETE", f"{_ONE}/settings/{{setting}}", "settings.reset", _WRITE),
)
