"""Subscriptions to notices, and what is on its way to them."""

from keyturn.admin.ground import call, end, filter_by, page, text, texts
from keyturn.core.notices import Channel
from keyturn.wire.tables import Field, Source

_READ, _WRITE = "notices:read", "notices:write"
_MANY = "/notice-subscriptions"
_ONE = _MANY + "/{subscription}"
_WHOSE = Field(name="organisation", slot="organisation", source=Source.QUERY, longest=255)

ROUTES = (
    page(
        _MANY,
        "notice_subscriptions.list",
        _READ,
        ("created_at",),
        _WHOSE,
        filter_by("channel"),
        filter_by("ended", "boolean"),
    ),
    call(
        "POST",
        _MANY,
        "notice_subscriptions.create",
        _WRITE,
        Field(name="channel", slot="channel", choices=tuple(each.value for each in Channel), required=True),
        text("target", required=True),
        texts("kinds"),
        text("organisation"),
        status=201,
        once=True,
    ),
    call("GET", _ONE, "notice_subscriptions.show", _READ),
    call("POST", f"{_ONE}/rotate", "notice_subscriptions.rotate", _WRITE, once=True),
    call("POST", f"{_ONE}/test", "notice_subscriptions.test", _WRITE, once=True),
    end(_ONE, "notice_subscriptions.end", _WRITE),
    page(
        "/notice-deliveries",
        "notice_deliveries.list",
        _READ,
        ("-created_at",),
        _WHOSE,
        Field(name="dead", slot="dead", source=Source.QUERY, reader="boolean"),
    ),
)
