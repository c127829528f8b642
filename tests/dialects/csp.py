"""Somebody who calls the dialect of VMware Cloud Services with what the demo made, for its tests."""

import json
from urllib.parse import urlencode

from joserfc import jwt
from joserfc.jwk import KeySet

from harness import ACTOR, basic
from keyturn.core import totp
from keyturn.core.secret import Secret
from keyturn.directory.api_tokens import ApiTokenWish, create_api_token, regenerate_api_token

BASE = "/csp/gateway/am/api"
EXCHANGE = BASE + "/auth/api-tokens/authorize"
FORM = ("Content-Type", "application/x-www-form-urlencoded")
JSON = ("Content-Type", "application/json")
PREFIX = "invalid_grant: Invalid refresh token"
BODY = {
    "metadata": type(None),
    "traceId": str,
    "cspErrorCode": str,
    "errorCode": str,
    "message": str,
    "moduleCode": int,
    "statusCode": int,
    "requestId": str,
}


class Caller:
    """Somebody with the demo's credentials of an organisation."""

    def __init__(self, here, slug="acme"):
        """Know the deployment and its demo entry."""
        self.here, self.slug = here, slug
        self.shown = here.members[slug]["vmware-csp"]
        self.api_token = self.shown["api_token"]

    async def exchange(self, *, query="", headers=(FORM,), **fields):
        """Send the exchange's form; with no fields the demo's API token."""
        told = fields or {"api_token": self.api_token}
        body = "" if told == {"api_token": None} else urlencode(told)
        return await self.here.ask(
            "POST", EXCHANGE, query=query.encode(), headers=headers, body=body.encode()
        )

    async def token(self, **fields):
        """Give an access token."""
        answer = await self.exchange(**fields)
        assert answer.status == 200, answer
        return answer.json["access_token"]

    async def call(self, path, token=None, header="Authorization", prefix="Bearer "):
        """Call with a token."""
        headers = [] if token is None else [(header, prefix + token)]
        return await self.here.ask("GET", BASE + path, headers=headers)

    async def details(self, token):
        """Ask what an API token is."""
        body = json.dumps({"tokenValue": token}).encode()
        return await self.here.ask("POST", BASE + "/auth/api-tokens/details", headers=[JSON], body=body)

    async def introspect(self, token):
        """Ask as the client whether an API token is good."""
        login = basic(self.shown["client_id"], self.shown["client_secret"])
        body = urlencode({"token": token}).encode()
        headers = [("Authorization", login), FORM]
        return (await self.here.ask("POST", BASE + "/auth/introspect", headers=headers, body=body)).json

    async def as_client(self, path="/auth/authorize", *, query="", login=None, headers=(FORM,), **fields):
        """Send client credentials by HTTP Basic, and form fields beside them."""
        login = basic(self.shown["client_id"], self.shown["client_secret"]) if login is None else login
        return await self.here.ask(
            "POST",
            BASE + path,
            query=query.encode(),
            headers=[*([("Authorization", login)] if login else []), *headers],
            body=urlencode(fields).encode(),
        )

    @property
    def store(self):
        """Give the rows of the organisation."""
        return self.here.local.deployment.organisation_store(self.shown["org_id"])

    @property
    def common(self):
        """Give what every directory verb takes."""
        return {"now": self.here.clock.now(), "dice": self.here.local.dice}

    async def user(self, name="csp-demo"):
        """Read a user of the demo."""
        return await self.here.local.deployment.user_by_email(f"{name}@{self.slug}.example")

    async def make(self, owner_id=None, org_id=None, **wish):
        """Make an API token: the record, and the token."""
        made = ApiTokenWish(
            name="made",
            owner_id=owner_id or (await self.user()).id,
            dialects=("vmware-csp",),
            **wish,
        )
        credential, secret = await create_api_token(
            ACTOR,
            self.here.local.deployment,
            org_id or self.shown["org_id"],
            made,
            digester=self.here.local.digester,
            **self.common,
        )
        return credential, secret.reveal()

    async def regenerate(self, credential):
        """Make an API token anew."""
        _, secret = await regenerate_api_token(
            ACTOR,
            self.here.local.deployment,
            credential.organisation_id,
            credential.id,
            digester=self.here.local.digester,
            **self.common,
        )
        return secret.reveal()

    def passcode(self, steps=0):
        """Give the code that the device of the guarded API token shows, some steps from now."""
        seed = totp.from_base32(Secret(self.shown["mfa"]["totp_secret"]))
        return totp.passcode(seed, totp.step_at(self.here.clock.now()) + steps)

    async def guarded(self, **fields):
        """Exchange the API token that needs a passcode."""
        return await self.exchange(api_token=self.shown["mfa"]["api_token"], **fields)


def claims_of(answer, key, member="access_token"):
    """Give the claims of a token in an answer."""
    return jwt.decode(answer.json[member], key, algorithms=["RS256"]).claims


async def key_set(here):
    """Fetch the key set."""
    return KeySet.import_key_set((await here.ask("GET", BASE + "/auth/keys")).json)


async def check(here, answer, status, code, message=None):
    """Check a refusal's whole body, and that the audit trail knows its request id."""
    told = answer.json
    assert (answer.status, told["statusCode"], told["cspErrorCode"]) == (status, status, code), told
    assert {name: type(value) for name, value in told.items()} == BODY
    assert told["moduleCode"] == 340
    assert message is None or told["message"] == message
    rows = {row.request_id: row for row in await here.audit()}
    row = rows[told["requestId"]]
    assert row.outcome != "ok"
    return row
