"""Clients, their secrets and their public keys."""

from keyturn.admin.ground import (
    LIFE_FILTERS,
    WHY,
    actions,
    call,
    clearable,
    end,
    filter_by,
    flag,
    instant,
    number,
    page,
    text,
    texts,
)
from keyturn.wire.tables import Field

_READ, _WRITE = "clients:read", "clients:write"
_MANY = "/organisations/{organisation}/clients"
_ONE = _MANY + "/{client}"
_SECRETS, _KEYS = _ONE + "/secrets", _ONE + "/keys"
_SECRET, _KEY = _SECRETS + "/{secret}", _KEYS + "/{key}"

_MEMBERS = (
    texts("dialects"),
    texts("grants"),
    texts("scopes"),
    texts("audiences"),
    texts("rights"),
    clearable(number("max_lifetime_seconds", minimum=1)),
)

ROUTES = (
    page(
        _MANY,
        "clients.list",
        _READ,
        ("created_at", "name"),
        *LIFE_FILTERS,
        filter_by("dialects"),
        filter_by("public", "boolean"),
    ),
    call("GET", "/clients/{client}", "clients.find", _READ),
    call(
        "POST",
        _MANY,
        "clients.create",
        _WRITE,
        text("name", required=True),
        *_MEMBERS,
        flag("public"),
        status=201,
        once=True,
    ),
    call("GET", _ONE, "clients.show", _READ),
    call("PATCH", _ONE, "clients.change", _WRITE, text("name"), *_MEMBERS, versioned="client"),
    *actions(_ONE, "clients", _WRITE, "disable", "enable"),
    end(_ONE, "clients.end", _WRITE),
    call("GET", "/credentials/of-clients/{credential}", "credentials.of_clients", _READ),
    page(_SECRETS, "secrets.list", _READ, ("created_at", "name"), *LIFE_FILTERS, filter_by("standing")),
    call(
        "POST",
        _SECRETS,
        "secrets.create",
        _WRITE,
        text("name"),
        instant("expires_at"),
        status=201,
        once=True,
    ),
    call(
        "POST",
        f"{_ONE}/rotate-secret",
        "secrets.rotate",
        _WRITE,
        number("overlap_seconds", required=True),
        text("name"),
        instant("expires_at"),
        status=201,
        once=True,
    ),
    call("GET", _SECRET, "secrets.show", _READ),
    *actions(_SECRET, "secrets", _WRITE, "disable", "enable", "finish", "cancel"),
    end(_SECRET, "secrets.end", _WRITE, WHY),
    page(_KEYS, "public_keys.list", _READ, ("created_at", "name"), *LIFE_FILTERS, filter_by("standing")),
    call(
        "POST",
        _KEYS,
        "public_keys.create",
        _WRITE,
        text("name"),
        Field(name="jwk", slot="jwk", reader="json_object"),
        Field(name="pem", slot="pem", reader="lines"),
        instant("expires_at"),
        status=201,
        once=True,
    ),
    call("GET", _KEY, "public_keys.show", _READ),
    *actions(_KEY, "public_keys", _WRITE, "disable", "enable"),
    end(_KEY, "public_keys.end", _WRITE, WHY),
)
