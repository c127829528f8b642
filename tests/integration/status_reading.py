"""An API that checks tokens offline, with libraries that know nothing of Keyturn."""

import base64
import json
import zlib
from typing import Any

from joserfc import jwt
from joserfc.jwk import KeySet

from harness import PUBLIC_URL, Deployment


def claims_of(token: str) -> dict[str, Any]:
    """Read a token's claims without proving them."""
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def named(token: str) -> tuple[str, int]:
    """Give the list that a token names, and its place there."""
    status = claims_of(token)["status"]["status_list"]
    return status["uri"], status["idx"]


async def fetched(here: Deployment, uri: str, slug: str = "acme") -> dict[str, Any]:
    """Fetch a list and prove it by the organisation's published keys."""
    answer = await here.ask("GET", uri.removeprefix(PUBLIC_URL))
    assert answer.status == 200, answer.body
    assert answer.header("content-type") == "application/statuslist+jwt"
    token = jwt.decode(
        answer.body.decode(), KeySet.import_key_set(await here.jwks(slug)), algorithms=["ES256"]
    )
    assert token.header["typ"] == "statuslist+jwt"
    assert token.claims["sub"] == uri
    return token.claims


def bit(claims: dict[str, Any], number: int) -> int:
    """Read one status."""
    packed = claims["status_list"]["lst"]
    bits = zlib.decompress(base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)))
    return bits[number // 8] >> number % 8 & 1


async def statuses(here: Deployment, *tokens: str, slug: str = "acme") -> list[int]:
    """Read what the lists say of some tokens, a moment later than what was done before."""
    here.clock.advance(1)
    read = {uri: await fetched(here, uri, slug) for uri in {named(token)[0] for token in tokens}}
    return [bit(read[uri], number) for uri, number in map(named, tokens)]
