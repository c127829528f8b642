"""What the demo makes and shows of it, and golden samples."""

from typing import Any

from keyturn.core.shapes import Member, Shape
from keyturn.core.vocabulary import INTROSPECT, OPENID
from keyturn.dialects.vmware_csp.tokens import BASE, EVERYTHING
from keyturn.wire.tables import (
    FORM,
    JSON,
    ApiTokenFixture,
    ClientFixture,
    DemoEntry,
    FixtureState,
    Sample,
    UserFixture,
)

DEMO = DemoEntry(
    base=BASE,
    fixtures=(
        ClientFixture(
            name="vmware-csp demo",
            grants=("client_credentials",),
            scopes=(EVERYTHING,),
            rights=(INTROSPECT,),
        ),
        UserFixture(key="user", name="csp-demo", email="csp-demo@{slug}.example", roles=("csp:org_owner",)),
        UserFixture(
            key="device",
            name="csp-mfa",
            email="csp-mfa@{slug}.example",
            roles=("csp:org_member",),
            totp=True,
        ),
        ApiTokenFixture(key="live", name="demo", owner="user", scopes=(EVERYTHING, OPENID)),
        ApiTokenFixture(key="guarded", name="demo, with MFA", owner="device", mfa=True),
        ApiTokenFixture(key="service", name="demo", owner="client"),
        ApiTokenFixture(key="expired", name="expired", owner="user", state=FixtureState.EXPIRED),
        ApiTokenFixture(key="revoked", name="revoked", owner="user", state=FixtureState.REVOKED),
    ),
    members=Shape(
        (
            Member("base_url", "base_url"),
            Member("api_token", "live.secret", "reveal"),
            Member("org_id", "organisation.id"),
            Member("client_id", "client.id"),
            Member("client_secret", "client.secret", "reveal"),
            Member("mfa.api_token", "guarded.secret", "reveal"),
            Member("mfa.totp_secret", "device.totp_secret", "reveal"),
            Member("service_api_token", "service.secret", "reveal"),
            Member("expired_api_token", "expired.secret", "reveal"),
            Member("revoked_api_token", "revoked.secret", "reveal"),
        )
    ),
    curl="curl -s -d api_token={api_token} {base_url}/auth/api-tokens/authorize",
)

_FORM = (("Content-Type", FORM),)
_JSON = (("Content-Type", JSON),)
_BASIC = ("Authorization", "{basic}")
_BEARER = (("Authorization", "Bearer {answer.access_token}"),)
_HEADER = (("csp-auth-token", "{answer.access_token}"),)
_GRANTED = {
    "access_token": "<jwt>",
    "expires_in": 1800,
    "id_token": "<jwt>",
    "refresh_token": "<text>",
    "scope": "ALL_PERMISSIONS openid",
    "token_type": "bearer",
}
_TO_CLIENT = {
    "access_token": "<jwt>",
    "expires_in": 1800,
    "scope": "ALL_PERMISSIONS",
    "token_type": "bearer",
}


def _refused(status: int, code: str, message: str) -> dict[str, Any]:
    return {
        "metadata": None,
        "traceId": "<uuid>",
        "cspErrorCode": code,
        "errorCode": code,
        "message": message,
        "moduleCode": 340,
        "statusCode": status,
        "requestId": "<uuid>",
    }


SAMPLES = (
    Sample(
        name="API token",
        route="api_tokens",
        headers=_FORM,
        body="api_token={api_token}",
        status=200,
        answer=_GRANTED,
    ),
    Sample(
        name="API token under its old name",
        route="api_tokens",
        headers=_FORM,
        body="refresh_token={api_token}&grant_type=refresh_token",
        status=200,
        answer=_GRANTED,
    ),
    Sample(
        name="API token in the query, with an empty body",
        route="api_tokens",
        headers=_JSON,
        query="refresh_token={api_token}",
        status=200,
        answer=_GRANTED,
    ),
    Sample(
        name="API token of a service account, without openid",
        route="api_tokens",
        headers=_FORM,
        body="api_token={service_api_token}",
        status=200,
        answer=_GRANTED | {"id_token": None, "scope": "ALL_PERMISSIONS"},
    ),
    Sample(
        name="unknown API token",
        route="api_tokens",
        headers=_FORM,
        body="api_token=of-a-console-elsewhere-that-nobody-here-knows-abcde",
        status=400,
        answer=_refused(400, "invalid_grant", "invalid_grant: Invalid refresh token: xxxxx-abcde"),
    ),
    Sample(
        name="API token that needs a passcode",
        route="api_tokens",
        headers=_FORM,
        body="api_token={mfa.api_token}",
        status=400,
        answer=_refused(400, "passcode_required", "passcode_required: The API token needs a passcode"),
    ),
    Sample(
        name="API token with a wrong passcode",
        route="api_tokens",
        headers=_FORM,
        body="api_token={mfa.api_token}&passcode=wrong",
        status=400,
        answer=_refused(
            400, "invalid_passcode", "invalid_passcode: The passcode is wrong or was used before"
        ),
    ),
    Sample(
        name="client credentials",
        route="authorize",
        headers=(_BASIC, *_FORM),
        body="grant_type=client_credentials&orgId={org_id}",
        status=200,
        answer=_TO_CLIENT,
    ),
    Sample(
        name="client credentials as JSON",
        route="authorize",
        headers=_JSON,
        body=(
            '{"grant_type": "client_credentials", "client_id": "{client_id}",'
            ' "client_secret": "{client_secret}"}'
        ),
        status=200,
        answer=_TO_CLIENT,
    ),
    Sample(
        name="client credentials in the query, with an empty body",
        route="authorize",
        headers=(_BASIC,),
        query="grant_type=client_credentials&orgId={org_id}",
        status=200,
        answer=_TO_CLIENT,
    ),
    Sample(
        name="organization of somebody else",
        route="authorize",
        headers=(_BASIC, *_FORM),
        body="grant_type=client_credentials&orgId=not-mine",
        status=403,
        answer=_refused(403, "access_denied", "access_denied: Not allowed in this organization"),
    ),
    Sample(
        name="client credentials, with HTTP Basic",
        route="token",
        headers=(_BASIC, *_FORM),
        body="grant_type=client_credentials&org_id={org_id}",
        status=200,
        answer=_TO_CLIENT,
    ),
    Sample(
        name="client credentials, in the body",
        route="token",
        headers=_FORM,
        body="grant_type=client_credentials&client_id={client_id}&client_secret={client_secret:form}",
        status=200,
        answer=_TO_CLIENT,
    ),
    Sample(
        name="wrong client secret",
        route="token",
        headers=_FORM,
        body="grant_type=client_credentials&client_id={client_id}&client_secret=wrong",
        status=401,
        answer=_refused(401, "invalid_client", "invalid_client: Client authentication failed"),
    ),
    Sample(
        name="details of an unknown API token",
        route="details",
        headers=_JSON,
        body='{"tokenValue": "unknown"}',
        status=404,
        answer=_refused(404, "not_found", "not_found: no such token"),
    ),
    Sample(
        name="introspection of an API token",
        route="introspect",
        headers=(_BASIC, *_FORM),
        body="token={service_api_token}",
        status=200,
        answer={
            "active": True,
            "iat": 1793534400,
            "orgId": "<uuid>",
            "sub": "<uuid>",
            "token_type": "refresh_token",
        },
    ),
    Sample(
        name="introspection of a revoked API token",
        route="introspect",
        headers=(_BASIC, *_FORM),
        body="token={revoked_api_token}",
        status=200,
        answer={"active": False},
    ),
    Sample(
        name="who the user is",
        route="userinfo",
        after="API token",
        headers=_BEARER,
        status=200,
        answer={
            "sub": "<uuid>",
            "acct": "csp-demo@acme.example",
            "domain": "acme",
            "username": "csp-demo",
            "context": "<uuid>",
            "context_name": "<uuid>",
            "email": "csp-demo@acme.example",
            "email_verified": True,
            "given_name": "",
            "family_name": "",
        },
    ),
    Sample(
        name="the organization, with the token in a header of its own",
        route="organisation",
        after="API token",
        headers=_HEADER,
        path={"orgId": "{org_id}"},
        status=200,
        answer={"id": "<uuid>", "name": "acme", "displayName": "Acme"},
    ),
    Sample(
        name="the organization, without a token",
        route="organisation",
        path={"orgId": "{org_id}"},
        status=401,
        answer=_refused(401, "invalid_token", "invalid_token: No valid access token"),
    ),
)
