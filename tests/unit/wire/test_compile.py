"""Compiling a dialect finds every mistake in its tables; its router finds every route."""

import msgspec
import pytest

from keyturn.core.profile import TokenProfile
from keyturn.core.shapes import Constant, Each, Member, Shape
from keyturn.core.vocabulary import CLIENT_CREDENTIALS, Code, CredentialKind
from keyturn.dialects import load_dialects
from keyturn.wire import compile as compile_module
from keyturn.wire.check import codes_of
from keyturn.wire.compile import PATH_KEPT_LENGTH, Router, compile_dialect
from keyturn.wire.tables import (
    Answer,
    Bearer,
    ClientFixture,
    DemoEntry,
    Dialect,
    Document,
    Exchange,
    Field,
    Operation,
    RefusalRow,
    Refusals,
    Route,
    Source,
)

EXCHANGE = Exchange(
    grant_type=CLIENT_CREDENTIALS,
    profile=TokenProfile(kind="toy.access", dialect="toy", lifetime_seconds=60),
    kind=CredentialKind.CLIENT_SECRET,
    owner="client_id",
    secret=("client_secret",),
)
ROUTE = Route(
    name="get",
    path="/get",
    fields=(
        Field(name="id", slot="client_id"),
        Field(name="key", slot="client_secret", reader="secret"),
    ),
    exchanges=(EXCHANGE,),
    answer=Answer(Shape((Member("token", "access_token", "reveal"),))),
)
DOCUMENT = Route(
    name="keys",
    method="GET",
    path="/o/{organisation}/keys",
    document=Document("jwks"),
    fields=(Field(name="organisation", slot="organisation", source=Source.PATH),),
    answer=Answer(Shape((Member("keys", "keys"),))),
)
DIALECT = Dialect(
    name="toy",
    title="Toy",
    routes=(ROUTE, DOCUMENT),
    refusals=Refusals(Shape((Member("e", "code"),)), {code: RefusalRow(400, code) for code in Code}),
    demo=DemoEntry(fixtures=(ClientFixture(name="toy", grants=(), scopes=()),), members=Shape(()), curl=""),
    samples=(),
)


def changed(**changes):
    """Give the toy dialect with its first route changed."""
    route = msgspec.structs.replace(ROUTE, **changes)
    return msgspec.structs.replace(DIALECT, routes=(route, DOCUMENT))


def with_exchange(**changes):
    """Give the toy dialect with its exchange changed."""
    return changed(exchanges=(msgspec.structs.replace(EXCHANGE, **changes),))


def with_field(**field):
    """Give the toy dialect with one more field."""
    return changed(fields=(*ROUTE.fields, Field(**field)))


def with_answer(*members):
    """Give the toy dialect with another answer."""
    return changed(answer=Answer(Shape(members)))


def with_document(**changes):
    """Give the toy dialect with its document's route changed."""
    return msgspec.structs.replace(DIALECT, routes=(ROUTE, msgspec.structs.replace(DOCUMENT, **changes)))


def without_row(code):
    """Give the toy dialect without one refusal row."""
    rows = {other: row for other, row in DIALECT.refusals.rows.items() if other is not code}
    return msgspec.structs.replace(DIALECT, refusals=Refusals(DIALECT.refusals.shape, rows))


def test_compiles():
    """The toy dialect compiles, so what the tests below change is what is wrong."""
    assert [route.table.name for route in compile_dialect(DIALECT, 300)] == ["get", "keys"]
    assert [route.read is None for route in compile_dialect(DIALECT, 300)] == [False, True]


@pytest.mark.parametrize(
    ("dialect", "says"),
    [
        (with_field(name="x", slot="x", reader="no_such"), "field 'x': unknown reader 'no_such'"),
        (with_field(name="x", slot="x", json_reader="no_such"), "field 'x': unknown reader 'no_such'"),
        (with_answer(Member("t", "acess_token")), "toy.get: unknown fact 'acess_token'"),
        (with_answer(Member("t", "scope", "no_such")), "toy.get: unknown transform 'no_such'"),
        (with_answer(Member("t", "scope"), Constant("t", 1)), "'t' is there twice"),
        (with_answer(Member("t.a", "scope"), Constant("t.a", 1)), "'a' is there twice"),
        (with_answer(Constant("t", 1), Member("t.a", "scope")), "'t' is there twice"),
        pytest.param(with_answer(Member("t.a", "scope"), Constant("t", 1)), "'t' is there twice"),
        (with_answer(Each("t", "scope", Shape((Member("m", "itm"),)))), "unknown fact 'itm'"),
        (with_answer(Each("t", "scpe", Shape(()))), "unknown fact 'scpe'"),
        (with_document(answer=Answer(Shape((Member("k", "no_such"),)))), "toy.keys: unknown fact 'no_such'"),
        (without_row(Code.SLOW_DOWN), "toy.refusals: no refusal row for slow_down"),
        (changed(exchanges=()), "toy.get: a route exchanges, asks or publishes"),
        (with_document(document=None), "toy.keys: a route exchanges, asks or publishes"),
        (with_document(exchanges=(EXCHANGE,)), "toy.keys: a route exchanges, asks or publishes"),
    ],
)
def test_mistake_is_found(dialect, says):
    """A name that does not exist and a place that is taken are found when the dialect is compiled."""
    with pytest.raises(ValueError, match=says.replace(".", r"\.")):
        compile_dialect(dialect, 300)


LATE = {
    "a bearer token that nothing takes": changed(bearer=Bearer(accepts=())),
    "an exchange of a bearer token without one": with_exchange(
        secret=(), owner=None, kind=CredentialKind.ACCESS_TOKEN
    ),
    "a passcode that no field brings": with_exchange(passcode="no_such"),
    "an organisation that no field brings": with_exchange(organisation="no_such"),
    "an operation that nobody knows": changed(exchanges=(), operation=Operation(name="no.such")),
    "a document of nobody": with_document(path="/keys", fields=()),
    "a document that nobody makes": with_document(document=Document("no_such")),
    "a secret that is repeated": with_field(name="x", slot="x", reader="secret", echo=True),
    "a prefix without its reader": with_field(name="x", slot="x", prefix="y:"),
    "a reader without its prefix": with_field(name="x", slot="x", reader="prefixed_word"),
    "a switch that is no setting": with_field(name="x", slot="x", required_by="no_such"),
    "a deprecated field that nobody can switch off": with_field(name="x", slot="x", deprecated=True),
    "a deprecated exchange that nobody can switch off": with_exchange(deprecated=True),
    "a setting that is not declared": with_answer(Member("t", "setting.no_such")),
    "refusals of a route without a needed row": changed(
        refusals=Refusals(Shape(()), {Code.SERVER_ERROR: RefusalRow(500, "x")})
    ),
    "a media type that nothing parses": changed(media=("text/csv",)),
    "a path field that its path does not have": with_field(
        name="org", slot="organisation", source=Source.PATH
    ),
    "a code that no field may be refused with": with_field(name="x", slot="x", invalid=Code.SLOW_DOWN),
    "a code that no absence may have": with_exchange(absent=Code.NOT_FOUND),
    "a secret that no field brings": with_exchange(secret=("no_such",)),
    "an owner that no field brings": with_exchange(owner="no_such"),
    "a URL of no route": with_document(answer=Answer(Shape((Member("u", "url.no_such"),)))),
    "a spare field outside the body": with_field(name="x", slot="x", source=Source.HEADER, spare=True),
    "two fields of one name": with_field(name="id", slot="x"),
    "two routes of one name": with_document(name="get"),
}


@pytest.mark.parametrize("mistake", LATE)
def test_mistake_is_found_before_the_first_request(mistake):
    """A dialect that compiles cannot fail on a table at run time."""
    with pytest.raises(ValueError, match=r"toy|field"):
        compile_dialect(LATE[mistake], 300)


def test_the_house_compiles():
    """Every dialect of the folder compiles, and no two routes claim the same method and path."""
    dialects = load_dialects()
    assert {"oauth2", "endorsed"} <= set(dialects)
    Router(route for dialect in dialects.values() for route in compile_dialect(dialect, 300))


def routes(*tables):
    """Make a router of routes with these paths, given as ``METHOD path alias ...``."""
    made = []
    for table in tables:
        method, path, *aliases = table.split()
        route = msgspec.structs.replace(ROUTE, name=table, method=method, path=path, aliases=tuple(aliases))
        made += compile_dialect(msgspec.structs.replace(DIALECT, routes=(route,)), 300)
    return Router(made)


@pytest.mark.parametrize(
    "tables",
    [
        ("POST /a", "POST /a"),
        ("POST /a", "POST /b /a"),
        ("POST /a/{x}", "POST /a/{y}"),
        ("POST /a/{x}/b", "POST /c /a/{y}/b"),
    ],
)
def test_collision(tables):
    """Two routes of one method and path do not start, whatever their templates call a segment."""
    with pytest.raises(ValueError, match="is taken"):
        routes(*tables)


def test_match():
    """A path finds its routes by method, and what its template's segments are."""
    router = routes("POST /a", "GET /a", "POST /o/{org}/t /t/{org}", "GET /o/{org}/t", "POST /{a}/{b}/c/d")
    assert set(router.match("/a").routes) == {"GET", "POST"}
    assert router.match("/o/acme/t").params == {"org": "acme"}
    assert set(router.match("/o/acme/t").routes) == {"GET", "POST"}
    assert set(router.match("/t/x").routes) == {"POST"}
    assert router.match("/x/y/c/d").params == {"a": "x", "b": "y"}


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "a",
        "/a/",
        "//a",
        "/A",
        "/%61",
        "/a?x",
        "/./a",
        "/o//t",
        "/o/t",
        "/o/acme/t/",
        "/o/acme//t",
        "/o/acme/x/t",
        "/O/acme/t",
        "/o/acme/t;x=1",
        "/o%2Facme/t",
        "/{org}",
    ],
)
def test_no_match(path):
    """AD-01: an odd spelling of a path reaches nothing."""
    assert routes("POST /a", "POST /o/{org}/t").match(path) is None


def test_made_up_paths_do_not_add_up(monkeypatch):
    """HT-01: strangers may make up organisations; few of their paths are kept, and none that is long."""
    monkeypatch.setattr(compile_module, "PATHS_KEPT", 3)
    router = routes("POST /o/{org}/t")
    for number in range(7):
        assert router.match(f"/o/made-up-{number}/t").params == {"org": f"made-up-{number}"}
        assert len(router._matched) <= 3
    long = "x" * PATH_KEPT_LENGTH
    assert router.match(f"/o/{long}/t").params == {"org": long}
    assert max(map(len, router._matched)) < PATH_KEPT_LENGTH


def test_rows_by_road():
    """A dialect needs rows for the codes of its own roads, so a small one stays small."""
    plain = codes_of(DIALECT.routes)
    assert {Code.INVALID_CLIENT, Code.NOT_FOUND, Code.SERVER_ERROR} <= plain
    assert not plain & {Code.INVALID_TOKEN, Code.PASSCODE_REQUIRED, Code.CONFLICT}
    assert Code.PASSCODE_REQUIRED in codes_of(with_exchange(passcode="x").routes)
    assert Code.CONFLICT in codes_of(with_exchange(kind=CredentialKind.API_TOKEN).routes)
    assert Code.INVALID_TOKEN in codes_of(changed(bearer=Bearer(accepts=())).routes)
