"""Write the part of each dialect's page that its tables say: ``python -m tests.docs.render``.

A page is prose by hand around one generated part between two marks; a dialect without a page gets one with
nothing but that part. A test compares, so a page cannot say what the dialect does not do.
"""

import json
import re
import sys
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote_plus

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from docs.words import (
    CACHED,
    CACHED_A_WHILE,
    CONFLICTS,
    EXAMPLES,
    FACTS,
    READERS,
    SOURCES,
    TRANSFORMS,
    VARIANTS,
    WHEN,
)
from keyturn.core.shapes import Constant, Each, Member, Shape, Switch
from keyturn.core.vocabulary import OwnerName
from keyturn.dialects import load_dialects
from keyturn.wire.read import BODILESS
from keyturn.wire.tables import (
    Answer,
    Bearer,
    Dialect,
    Field,
    RefusalRow,
    Refusals,
    Route,
    Sample,
    Scope,
    Setting,
    Source,
)

PAGES = Path(__file__).resolve().parents[2] / "docs" / "dialects"
BEGIN = "<!-- From the dialect's tables, by python -m tests.docs.render; edit above or below. -->\n"
END = "<!-- End of what the tables say. -->\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Write a Markdown table, its pipes escaped."""
    yield "| " + " | ".join(head) + " |"
    yield "| " + " | ".join("---" for _ in head) + " |"
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
    yield ""


def code(text: object) -> str:
    """Set a word as code."""
    return f"`{text}`"


def generated(dialect: Dialect) -> str:
    """Write everything that a dialect's tables say, marks included."""
    lines = [BEGIN]
    for route in dialect.routes:
        lines += route_lines(dialect, route)
    lines += ["## Refusals", ""]
    lines += refusal_lines(dialect.refusals)
    for refusals, names in own_refusals(dialect):
        lines += [f"### Of {', '.join(map(code, names))}", "", *refusal_lines(refusals)]
    if dialect.roles:
        lines += ["## Roles", ""]
        lines += table(
            ["role", "title", "permits"],
            ([code(role.name), role.title, ", ".join(map(code, role.permissions))] for role in dialect.roles),
        )
    lines += ["## Settings", ""]
    lines += table(
        ["setting", "whose", "default", "values", "what it does"], map(setting_row, dialect.settings)
    )
    lines += ["## In the demo", "", "Members of the dialect's object in `demo.json`:", ""]
    lines += table(["member", "shows"], member_rows(dialect.demo.members))
    return "\n".join([*lines, END])


def route_lines(dialect: Dialect, route: Route) -> Iterator[str]:
    """Write one call: how it is asked, what it answers, its samples."""
    yield f"## `{route.method} {route.path}`"
    yield ""
    for alias in route.aliases:
        yield f"Also at `{alias}`."
        yield ""
    if route.document is not None:
        yield f"Published for anybody; {CACHED.get(route.document.name, CACHED_A_WHILE)}."
        yield ""
    elif route.method not in BODILESS:
        media = " or ".join(map(code, route.media))
        absent = f"; without a content type it is read as `{route.media[0]}`" if route.media_optional else ""
        yield f"Body: {media}{absent}."
        yield ""
    if route.bearer is not None:
        yield from bearer_lines(route.bearer)
    if route.fields:
        yield from table(
            ["field", "from", "what", "required"], (field_row(field, route) for field in route.fields)
        )
    yield from authentication_lines(route)
    for exchange in route.exchanges:
        profile = exchange.profile
        claims = ", ".join(code(member.path) for member in profile.claims.members)
        yield f"`{exchange.wire_grant or exchange.grant_type}` gives a token of kind `{profile.kind}`."
        yield f"Its header's `typ` is `{profile.header_type}`;"
        yield f"beside the [claims of every token](../tokens.md) it has {claims or 'none'}."
        yield ""
    for answer in (*route.variants, route.answer):
        yield from answer_lines(answer)
    for sample in dialect.samples:
        if sample.route == route.name:
            yield from sample_lines(route, sample)


def bearer_lines(bearer: Bearer) -> Iterator[str]:
    """Write how a call brings its token, and what that must be."""
    kinds = " or ".join(code(profile.kind) for profile in bearer.accepts)
    further = "".join(f" or `{name}: TOKEN`" for name in bearer.headers)
    needs = [f"the scope `{bearer.scope}`"] if bearer.scope else []
    needs += [f"a role that permits `{bearer.permission}`"] if bearer.permission else []
    yield f"Token: `Authorization: Bearer TOKEN`{further}, of kind {kinds}{', with '.join(['', *needs])}."
    if bearer.organisation is not None:
        yield "It must be of the organisation that the path names."
    yield ""


def answer_lines(answer: Answer) -> Iterator[str]:
    """Write one answer of a call: an object, a list, or nothing."""
    when = (
        "" if answer.when is None else f", where {VARIANTS.get(answer.when, f'there is {code(answer.when)}')}"
    )
    if answer.shape is None:
        yield f"Answer {answer.status}{when}, without a body."
        yield ""
        return
    shape, array = answer.shape, isinstance(answer.shape, Each)
    yield f"Answer {answer.status}{when}{', an array of objects' if array else ''}:"
    yield ""
    yield from table(["member", "shows"], member_rows(shape.shape if isinstance(shape, Each) else shape))


def bounds(field: Field) -> str:
    """Write all that a value may be."""
    says = "; one of " + ", ".join(map(code, field.choices)) if field.choices else ""
    if field.minimum is not None:
        says += f", at least {field.minimum}"
    return says if field.maximum is None else says + f", at most {field.maximum}"


def field_row(field: Field, route: Route) -> list[str]:
    """Write one field."""
    says = READERS.get(field.reader, field.reader)
    if field.json_reader is not None:
        says = f"form: {says}; JSON: {READERS.get(field.json_reader, field.json_reader)}"
    if field.prefix:
        says += f" with a word `{field.prefix}...`"
    says += bounds(field)
    if field.default is not None:
        says += f"; {code(field.default)} if absent"
    if field.nullable:
        says += "; `null` is as good as absent"
    if field.spare:
        says += "; only where nothing else says the same, and ignored if it is of a wrong type"
    if field.deprecated:
        says += "; deprecated"
    if field.repeatable:
        says += "; may be repeated"
    if field.aliases:
        says += "; deprecated names " + ", ".join(map(code, field.aliases))
    return [
        code(field.name),
        SOURCES[field.source] + (" or HTTP Basic" if by_basic(field, route) else ""),
        says,
        needed(field, route),
    ]


def by_basic(field: Field, route: Route) -> bool:
    """Say whether HTTP Basic may bring a field."""
    login = route.authentication
    return login is not None and login.basic and field.slot in {login.owner, login.secret}


def needed(field: Field, route: Route) -> str:
    """Write whether a field has to be there, and what may stand in for it."""
    login = route.authentication
    others = [other for other in route.fields if other.slot == field.slot and other is not field]
    if field.required_by is not None:
        return f"as {code(field.required_by)} says"
    if login is not None and by_basic(field, route):
        signed = any(other.slot == login.assertion for other in route.fields)
        return f"yes, or {code(login.assertion)}" if signed else "yes"
    if field.required and others:
        return "yes, or in the " + " or ".join(SOURCES[other.source] for other in others)
    return "yes" if field.required or field.source is Source.PATH else "no"


def authentication_lines(route: Route) -> Iterator[str]:
    """Write how a client says who it is."""
    if route.authentication is None or not route.authentication.basic:
        return
    if all(field.slot != route.authentication.owner for field in route.fields):
        yield "The client gives id and secret by HTTP Basic."
        yield ""
        return
    yield "The client gives id and secret by HTTP Basic or in the body."
    yield CONFLICTS[route.authentication.conflict]
    yield ""


def member_rows(shape: Shape, prefix: str = "") -> Iterator[list[str]]:
    """Write each member of a JSON object, nested ones by their path."""
    for member in shape.members:
        path = prefix + member.path
        if isinstance(member, Constant):
            yield [code(path), "always " + code(json.dumps(member.value))]
        elif isinstance(member, Each):
            yield [code(path), "an array of objects"]
            yield from member_rows(member.shape, f"{path}[].")
        elif isinstance(member, Switch):
            cases = [
                f"{code(text)}: "
                + (code(json.dumps(case.value)) if isinstance(case, Constant) else fact(case))
                for text, case in member.cases.items()
            ]
            yield [code(path), f"by {code(member.on)}: " + "; ".join(cases)]
        else:
            yield [code(path), fact(member)]


def fact(member: Member) -> str:
    """Write what a member shows and how."""
    prefix, _, name = member.source.partition(".")
    shown = f"the URL of `{name}`" if prefix == "url" else FACTS.get(member.source, code(member.source))
    how = TRANSFORMS.get(member.transform, f", as {code(member.transform)}")
    if member.otherwise is not None:
        how += f"; else {FACTS.get(member.otherwise, code(member.otherwise))}"
    return shown + how + ("; left out if there is none" if member.optional else "")


def own_refusals(dialect: Dialect) -> list[tuple[Refusals, list[str]]]:
    """Give the refusals that only some calls have, with the names of those calls."""
    found: list[tuple[Refusals, list[str]]] = []
    for route in dialect.routes:
        if route.refusals is not None:
            known = next((names for refusals, names in found if refusals == route.refusals), None)
            if known is None:
                found.append((route.refusals, [f"{route.method} {route.path}"]))
            else:
                known.append(f"{route.method} {route.path}")
    return found


def refusal_lines(refusals: Refusals) -> Iterator[str]:
    """Write a refusal table and the members of its one body."""
    yield "One body for all:"
    yield ""
    yield from table(["member", "shows"], member_rows(refusals.shape))
    shown = {member.source for member in refusals.shape.members if isinstance(member, Member)}
    rows = []
    for public, row in refusals.rows.items():
        told = [code(row.code)] if "code" in shown else []
        if "text" in shown:
            told.append(words(row))
        extra = "".join(f"; `{name}: {value}`" for name, value in row.headers)
        rows.append([WHEN[public], str(row.status), ", ".join(told) + extra])
    yield from table(["when", "status", "says"], rows)


def words(row: RefusalRow) -> str:
    """Write the words of a refusal."""
    if row.unexplained is not None:
        if row.text is not None:
            return f'one sentence, or "{row.unexplained}" where there is none'
        return f'"{row.unexplained}" where a credential is worth nothing, else no words'
    if row.text is None:
        return "no words"
    return "one sentence" if row.text == "{description}" else f'"{row.text}"'


def setting_row(setting: Setting) -> list[str]:
    """Write one setting."""
    values = ", ".join(map(code, setting.choices)) or setting.kind
    if setting.minimum is not None or setting.maximum is not None:
        values = f"{setting.minimum} to {setting.maximum}"
    whose = "deployment" if setting.scope is Scope.DEPLOYMENT else "organisation"
    return [code(setting.name), whose, code(setting.default), values, setting.help]


def sample_lines(route: Route, sample: Sample) -> Iterator[str]:
    """Write a golden sample as it goes over the wire."""
    yield f"### {sample.name[0].upper()}{sample.name[1:]}"
    yield ""
    yield "```http"
    path = route.path
    for name, value in sample.path.items():
        path = path.replace(f"{{{name}}}", value)
    query = f"?{sample.query}" if sample.query else ""
    examples = examples_of(route)
    yield f"{route.method} {filled(path + query, examples)} HTTP/1.1"
    yield from (f"{name}: {filled(value, examples)}" for name, value in sample.headers)
    yield ""
    if sample.body:
        yield filled(sample.body, examples)
        yield ""
    yield f"HTTP/1.1 {sample.status}"
    yield "Content-Type: application/json"
    yield ""
    if sample.answer is not None:
        yield json.dumps(sample.answer, indent=2)
    yield "```"
    yield ""


def examples_of(route: Route) -> dict[str, str]:
    """Give the examples as this call means them: a user named by address, an entity in HTTP Basic."""
    own = dict(EXAMPLES)
    if any(field.reader == "email" for field in route.fields):
        own["username"] = "meera@acme.example"
    if any(exchange.named is OwnerName.ENTITY_ID for exchange in route.exchanges):
        own |= {"client_id": own["entity_id"], "client_secret": own["entity_secret"]}
    return own


def filled(text: str, examples: Mapping[str, str]) -> str:
    """Put examples into a sample's places; what is no place, as a JSON brace, stays."""
    pair = "{client_id}:{client_secret}".format_map(examples)
    text = text.replace("{basic}", "Basic " + b64encode(pair.encode()).decode())
    text = re.sub(r"\{answer\.(\w+\.)*(\w+)\}", r"<\2>", text)
    for name, value in examples.items():
        text = text.replace(f"{{{name}:form}}", quote_plus(value)).replace(f"{{{name}}}", value)
    return text


def page(dialect: Dialect, before: str) -> str:
    """Give a dialect's page with its generated part renewed and its prose kept."""
    part = generated(dialect)
    if BEGIN not in before or END not in before:
        return (before or f"# {dialect.title}: `{dialect.name}`\n") + "\n" + part
    return re.sub(re.escape(BEGIN) + ".*?" + re.escape(END), lambda _: part, before, count=1, flags=re.DOTALL)


def page_of(dialect: Dialect) -> Path:
    """Name a dialect's page."""
    return PAGES / f"{dialect.name}.md"


def main() -> None:
    """Renew every page."""
    PAGES.mkdir(exist_ok=True)
    for dialect in load_dialects().values():
        path = page_of(dialect)
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        after = page(dialect, before)
        if after != before:
            path.write_text(after, encoding="utf-8")
            sys.stdout.write(f"{path.name} renewed\n")


if __name__ == "__main__":
    main()
