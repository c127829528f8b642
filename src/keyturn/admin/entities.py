"""Entities, the users who look after them, and their secrets that can be read again."""

from keyturn.admin.ground import LIFE_FILTERS, WHY, actions, call, end, filter_by, number, page, text

_READ, _WRITE = "entities:read", "entities:write"
_MANY = "/organisations/{organisation}/entities"
_ONE = _MANY + "/{entity}"
_SECRET = _ONE + "/secrets/{secret}"

ROUTES = (
    page(_MANY, "entities.list", _READ, ("created_at", "name", "id"), *LIFE_FILTERS, filter_by("type")),
    call("GET", "/entities/{entity}", "entities.find", _READ),
    call(
        "POST",
        _MANY,
        "entities.create",
        _WRITE,
        text("id", required=True),
        text("name"),
        text("type", required=True),
        status=201,
        once=True,
    ),
    call("GET", _ONE, "entities.show", _READ),
    *actions(_ONE, "entities", _WRITE, "disable", "enable"),
    end(_ONE, "entities.end", _WRITE),
    call("PUT", f"{_ONE}/users/{{user}}", "entities.link", _WRITE),
    call("DELETE", f"{_ONE}/users/{{user}}", "entities.unlink", _WRITE),
    page(
        f"{_ONE}/secrets",
        "entity_secrets.list",
        _READ,
        ("created_at", "name"),
        *LIFE_FILTERS,
        filter_by("standing"),
    ),
    call(
        "POST",
        f"{_ONE}/reset-secret",
        "entity_secrets.reset",
        _WRITE,
        number("days", minimum=1),
        number("lifetime_seconds", minimum=1),
        status=201,
        once=True,
    ),
    call("POST", f"{_ONE}/read-secret", "entity_secrets.read", _WRITE),
    call("GET", "/credentials/of-entities/{credential}", "credentials.of_entities", _READ),
    call("GET", _SECRET, "entity_secrets.show", _READ),
    end(_SECRET, "entity_secrets.end", _WRITE, WHY),
)
