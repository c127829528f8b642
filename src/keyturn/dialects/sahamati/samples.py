"""What the demo makes and shows of Sahamati, and the golden samples of its calls."""

from keyturn.core.shapes import Member, Shape
from keyturn.dialects.sahamati.realm import REALM_SCOPE
from keyturn.wire.tables import DemoEntry, EntityFixture, FixtureState, Sample, UserFixture

GRACE = "the secret has expired and is accepted only a few days more; reset it"
DEFAULT = "the default validity period was applied"

DEMO = DemoEntry(
    fixtures=(
        UserFixture(
            key="user",
            name="sahamati-admin",
            email="sahamati-admin@{slug}.example",
            roles=("entity-admin",),
            password=True,
        ),
        EntityFixture(key="entity", id="FIU-{slug}", type="FIU", users=("user",)),
        EntityFixture(key="second", id="FIP-{slug}", type="FIP", users=("user",)),
        EntityFixture(
            key="grace", id="FIU-{slug}-GRACE", type="FIU", users=("user",), state=FixtureState.GRACE
        ),
        EntityFixture(
            key="expired", id="FIU-{slug}-EXPIRED", type="FIU", users=("user",), state=FixtureState.EXPIRED
        ),
    ),
    base="/iam/v1",
    members=Shape(
        (
            Member("base_url", "base_url"),
            Member("username", "user.email"),
            Member("password", "user.password", "reveal"),
            Member("entity_id", "entity.id"),
            Member("entity_type", "entity.type"),
            Member("entity_secret", "entity.secret", "reveal"),
            Member("second_entity_id", "second.id"),
            Member("grace.entity_id", "grace.id"),
            Member("grace.entity_secret", "grace.secret", "reveal"),
            Member("expired.entity_id", "expired.id"),
            Member("expired.entity_secret", "expired.secret", "reveal"),
        )
    ),
    curl=(
        "curl -s {base_url}/entity/token/generate --data-urlencode id={entity_id} "
        "--data-urlencode secret={entity_secret}"
    ),
)

_FORM_TYPE = (("Content-Type", "application/x-www-form-urlencoded"),)
_CALL = (("Content-Type", "application/json"), ("Authorization", "Bearer {answer.accessToken}"))
_HEAD = {"ver": "1.0.0", "timestamp": "<text>", "txnId": "<uuid>"}
_TOKEN = {
    **_HEAD,
    "accessToken": "<jwt>",
    "expiresIn": 86_400,
    "tokenType": "Bearer",
    "refreshExpiresIn": 0,
    "notBeforePolicy": 0,
    "scope": REALM_SCOPE,
}
_REFUSED = {**_HEAD, "errorCode": "Unauthorized", "errorMsg": "invalid credentials or token"}
_MISSING = {**_HEAD, "errorCode": "Bad Request", "errorMsg": "<text>"}
_ASKED = (
    '{"ver": "1.0.0", "timestamp": "2026-11-01T12:00:00.250Z", '
    '"txnId": "f35761ac-4a18-11e8-96ff-0277a9fbfedc", "entityId": "{entity_id}"}'
)
_ASKED_OF_SECOND = _ASKED.replace("{entity_id}", "{second_entity_id}")
"""What a reset is sent for: no other sample presents the second entity's secret, so all may run in a row."""
_READ = {**_HEAD, "entityId": "FIU-ACME", "secret": "<text>"}

SAMPLES = (
    Sample(
        name="a user token",
        route="user_token",
        headers=_FORM_TYPE,
        body="username={username:form}&password={password:form}",
        status=200,
        answer=_TOKEN,
    ),
    Sample(
        name="a wrong password",
        route="user_token",
        headers=_FORM_TYPE,
        body="username={username:form}&password=wrong",
        status=401,
        answer=_REFUSED,
    ),
    Sample(
        name="reading a secret",
        route="secret_read",
        after="a user token",
        headers=_CALL,
        body=_ASKED,
        status=200,
        answer={**_READ, "expiresOn": 1_809_086_400, "expirationDate": "2027-04-30T12:00:00.000"},
    ),
    Sample(
        name="resetting a secret, with the default period",
        route="secret_reset",
        after="a user token",
        headers=_CALL,
        body=_ASKED_OF_SECOND,
        status=200,
        answer={
            **_READ,
            "entityId": "FIP-ACME",
            "expiresOn": 1_809_086_400,
            "expirationDate": "2027-04-30T12:00:00.000",
            "message": DEFAULT,
        },
    ),
    Sample(
        name="resetting without a token",
        route="secret_reset",
        headers=(("Content-Type", "application/json"),),
        body=_ASKED,
        status=401,
        answer=_REFUSED,
    ),
    Sample(
        name="an entity token",
        route="entity_token",
        headers=_FORM_TYPE,
        body="id={entity_id:form}&secret={entity_secret:form}",
        status=200,
        answer=_TOKEN,
    ),
    Sample(
        name="an entity token in the grace period",
        route="entity_token",
        headers=_FORM_TYPE,
        body="id={grace.entity_id:form}&secret={grace.entity_secret:form}",
        status=200,
        answer={**_TOKEN, "message": GRACE},
    ),
    Sample(
        name="a secret past its grace",
        route="entity_token",
        headers=_FORM_TYPE,
        body="id={expired.entity_id:form}&secret={expired.entity_secret:form}",
        status=401,
        answer=_REFUSED,
    ),
    Sample(
        name="no secret",
        route="entity_token",
        headers=_FORM_TYPE,
        body="id={entity_id:form}",
        status=400,
        answer=_MISSING,
    ),
    Sample(
        name="the predecessor of entity tokens",
        route="realm_token",
        headers=(*_FORM_TYPE, ("Authorization", "{basic}")),
        body="grant_type=client_credentials&scope=openid",
        status=200,
        answer={
            "access_token": "<jwt>",
            "expires_in": 86_400,
            "refresh_expires_in": 0,
            "token_type": "Bearer",
            "id_token": "<jwt>",
            "not-before-policy": 0,
            "scope": "openid",
        },
    ),
)
