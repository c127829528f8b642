"""A client that asks, renews, asks about and gives back tokens, for the tests of a token's whole life."""

from typing import Any
from urllib.parse import urlencode

import msgspec

from harness import Answer, Deployment, basic
from keyturn.seeding import MAIN

FORM = ("Content-Type", "application/x-www-form-urlencoded")


class Caller(msgspec.Struct, frozen=True):
    """A confidential client of one organisation."""

    here: Deployment
    client_id: str
    secret: str
    slug: str = MAIN

    async def post(self, route: str, *, anonymous: bool = False, **fields: str) -> Answer:
        """Post a form to a route of the organisation's, authenticated by HTTP Basic."""
        proof = [] if anonymous else [("Authorization", basic(self.client_id, self.secret))]
        path = f"/o/{self.slug}/oauth2/{route}"
        return await self.here.ask("POST", path, headers=[FORM, *proof], body=urlencode(fields).encode())

    async def begin(self, scope: str = "read write offline_access") -> dict[str, Any]:
        """Ask for a token with a refresh token."""
        answer = await self.post("token", grant_type="client_credentials", scope=scope)
        assert answer.status == 200, answer.body
        return answer.json

    async def renew(self, refresh_token: str, **fields: str) -> Answer:
        """Present a refresh token."""
        return await self.post("token", grant_type="refresh_token", refresh_token=refresh_token, **fields)

    async def renewed(self, refresh_token: str, **fields: str) -> dict[str, Any]:
        """Present a refresh token that must be good."""
        answer = await self.renew(refresh_token, **fields)
        assert answer.status == 200, answer.body
        return answer.json

    async def about(self, token: str) -> dict[str, Any]:
        """Ask about a token."""
        answer = await self.post("introspect", token=token)
        assert answer.status == 200, answer.body
        return answer.json

    async def is_active(self, token: str) -> bool:
        """Ask whether a token is good."""
        said = await self.about(token)
        assert said["active"] or said == {"active": False}
        return said["active"]


def demo_caller(here: Deployment, slug: str = MAIN) -> Caller:
    """Give the demo's oauth2 client of an organisation."""
    members = here.members[slug]["oauth2"]
    return Caller(here, members["client_id"], members["client_secret"], slug)


async def another_caller(here: Deployment, slug: str = MAIN, **wish: Any) -> Caller:
    """Make a second client that may renew and ask."""
    common = {
        "grants": ("client_credentials", "refresh_token"),
        "scopes": ("read", "write", "offline_access"),
        "rights": ("introspect",),
    }
    client, secret = await here.add_client(slug, **(common | wish))
    return Caller(here, client.id, secret, slug)
