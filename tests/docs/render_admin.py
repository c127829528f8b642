"""The generated part of the admin API's page: every call and every member, from its tables.

``python -m tests.docs.render_admin`` writes it anew.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from docs.pages import ROOT
from keyturn.admin import ADMIN
from keyturn.core.admin_facts import MANY, OPERATIONS, RESOURCES
from keyturn.core.admin_records import BASE
from keyturn.wire.tables import Route, Source

BEGIN = "<!-- From the tables, by python -m tests.docs.render_admin; edit above or below. -->\n"
END = "<!-- End of what the tables say. -->\n"
PAGE = ROOT / "docs" / "admin-api.md"
KINDS = {
    "text": "text",
    "secret": "text, told this once",
    "secrets": "array of text, told this once",
    "number": "whole number",
    "flag": "true or false",
    "texts": "array of text",
    "object": "object",
    "objects": "list of objects",
    "any": "text, number or truth",
    "instant": "instant in UTC",
    "day": "day",
}


def _answer(route: Route) -> str:
    assert route.operation is not None
    shown = OPERATIONS[route.operation.name.removeprefix("admin.")]
    if shown.endswith(MANY):
        return f"a page of `{shown.removesuffix(MANY)}`"
    return f"{route.answer.status} `{shown}`"


def _reads(route: Route) -> str:
    fields = [
        f"`{each.name}`" + ("" if each.required else "?")
        for each in route.fields
        if each.source is Source.BODY
        or (each.source is Source.QUERY and each.name not in {"limit", "cursor"})
    ]
    return ", ".join([*fields, *(["`If-Match`"] if route.versioned else [])])


def lines() -> Iterator[str]:
    """Yield the generated part, line by line."""
    yield "| call | scope | reads | answers |"
    yield "| --- | --- | --- | --- |"
    for route in ADMIN.routes:
        assert route.bearer is not None
        call = f"`{route.method} {route.path.removeprefix(BASE)}`"
        yield f"| {call} | `{route.bearer.scope}` | {_reads(route)} | {_answer(route)} |"
    yield ""
    yield "## What answers hold"
    yield ""
    yield "Where null is possible the kind ends in `or null`."
    yield ""
    yield "| resource | members |"
    yield "| --- | --- |"
    for name, facts in RESOURCES.items():
        members = (
            f"`{fact}` {KINDS[kind.removesuffix('?')]}" + (" or null" if kind.endswith("?") else "")
            for fact, kind in facts.items()
        )
        yield f"| `{name}` | {'; '.join(members)} |"


def page(before: str) -> str:
    """Renew the generated part of the page, and leave what is written by hand."""
    head, _, rest = before.partition(BEGIN)
    return head + BEGIN + "\n".join(("", *lines(), "")) + END + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
