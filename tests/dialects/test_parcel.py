"""A third dialect that exists only here: proof that a dialect is a value made of tables, and needs no more.

POST /parcel/v3/pass
{"key": "<client id>", "code": "<client secret>"}

201 {"parcel": {"pass": {"value": "<jwt>", "until": "2026-11-01T13:00:00.000Z"}, "v": 3}}
"""

from dialects.client_contract import ClientContract
from keyturn.core.profile import TokenProfile
from keyturn.core.shapes import Constant, Member, Shape
from keyturn.core.vocabulary import CLIENT_CREDENTIALS, Code, CredentialKind
from keyturn.wire.tables import (
    JSON,
    Answer,
    ClientAuthentication,
    ClientFixture,
    DemoEntry,
    Dialect,
    Exchange,
    Field,
    RefusalRow,
    Refusals,
    Route,
    Sample,
    lifetime_setting,
)

PASS = TokenProfile(
    kind="parcel.pass",
    dialect="parcel",
    lifetime_seconds=3_600,
    claims=Shape((Constant("parcel.v", 3), Member("parcel.depot", "organisation.slug", "upper"))),
)

GET_PASS = Route(
    name="pass",
    path="/parcel/v3/pass",
    media=(JSON,),
    fields=(
        Field(
            name="key", slot="client_id", reader="uuid_or_text", required=True, missing=Code.INVALID_CLIENT
        ),
        Field(name="code", slot="client_secret", reader="secret", required=True, missing=Code.INVALID_CLIENT),
    ),
    authentication=ClientAuthentication(basic=False),
    exchanges=(
        Exchange(
            grant_type=CLIENT_CREDENTIALS,
            profile=PASS,
            kind=CredentialKind.CLIENT_SECRET,
            owner="client_id",
            secret=("client_secret",),
        ),
    ),
    answer=Answer(
        Shape(
            (
                Member("parcel.pass.value", "access_token", "reveal"),
                Member("parcel.pass.until", "expires_at", "iso_millis"),
                Constant("parcel.v", 3),
            )
        ),
        status=201,
    ),
)

NUMBERS = {
    Code.INVALID_REQUEST: (422, "4220"),
    Code.INVALID_CLIENT: (403, "4030"),
    Code.INVALID_GRANT: (403, "4031"),
    Code.INVALID_SCOPE: (422, "4221"),
    Code.INVALID_TARGET: (422, "4222"),
    Code.UNAUTHORIZED_CLIENT: (403, "4032"),
    Code.UNSUPPORTED_GRANT_TYPE: (422, "4223"),
    Code.NOT_FOUND: (404, "4040"),
    Code.METHOD_NOT_ALLOWED: (405, "4050"),
    Code.TOO_LARGE: (413, "4130"),
    Code.UNSUPPORTED_MEDIA_TYPE: (415, "4150"),
    Code.SLOW_DOWN: (429, "4290"),
    Code.TEMPORARILY_UNAVAILABLE: (503, "5030"),
    Code.SERVER_ERROR: (500, "5000"),
}

DIALECT = Dialect(
    name="parcel",
    title="Parcel, for tests",
    routes=(GET_PASS,),
    refusals=Refusals(
        shape=Shape(
            (
                Member("fault.http", "status"),
                Member("fault.number", "code"),
                Member("fault.says", "description"),
                Member("fault.at", "now", "epoch_millis"),
            )
        ),
        rows={code: RefusalRow(*row) for code, row in NUMBERS.items()},
    ),
    settings=(lifetime_setting(PASS.lifetime_seconds, minimum=60, maximum=86_400),),
    demo=DemoEntry(
        fixtures=(ClientFixture(name="parcel demo", grants=("client_credentials",), scopes=()),),
        members=Shape(
            (
                Member("pass_url", "url.pass"),
                Member("key", "client.id"),
                Member("code", "client.secret", "reveal"),
            )
        ),
        curl='curl -s {pass_url} --json \'{{"key": "{key}", "code": "{code}"}}\'',
    ),
    samples=(
        Sample(
            name="a pass",
            route="pass",
            headers=(("Content-Type", "application/json"),),
            body='{"key": "{key}", "code": "{code}"}',
            status=201,
            answer={"parcel": {"pass": {"value": "<jwt>", "until": "2026-11-01T13:00:00.000Z"}, "v": 3}},
        ),
        Sample(
            name="a wrong code",
            route="pass",
            headers=(("Content-Type", "application/json"),),
            body='{"key": "{key}", "code": "wrong"}',
            status=403,
            answer={"fault": {"http": 403, "number": "4030", "says": None, "at": 1793534400250}},
        ),
        Sample(
            name="no key",
            route="pass",
            headers=(("Content-Type", "application/json"),),
            body='{"code": "wrong"}',
            status=403,
            answer={"fault": {"http": 403, "number": "4030", "says": "key is required", "at": 1793534400250}},
        ),
    ),
)


class TestParcel(ClientContract):
    """The whole contract, from the tables above."""

    dialect = DIALECT

    async def test_claims(self, here):
        """The profile's own claims are there beside the standard ones, through their transforms."""
        claims = await self.claims(here, GET_PASS, await self.good(here, GET_PASS).send(here))
        assert claims["parcel"] == {"v": 3, "depot": "ACME"}
