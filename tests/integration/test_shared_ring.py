"""A contract with one issuer and one ring for all organisations, its keys named by certificates."""

import base64
import json

import msgspec
import pytest

from dialects.test_parcel import DIALECT as PARCEL
from dialects.test_parcel import GET_PASS, PASS
from harness import deployment
from keyturn.core.identifiers import uuid7
from keyturn.core.vocabulary import Algorithm
from keyturn.seeding import MAIN, OTHER

SHARED = msgspec.structs.replace(
    PASS, algorithm=Algorithm.RS256, issuer="/parcels", shared_ring="parcels", certificate=True
)
EXCHANGES = tuple(msgspec.structs.replace(each, profile=SHARED) for each in GET_PASS.exchanges)
DIALECT = msgspec.structs.replace(PARCEL, routes=(msgspec.structs.replace(GET_PASS, exchanges=EXCHANGES),))


@pytest.fixture
async def here():
    """A deployment that serves the dialect of the shared ring."""
    async with deployment(DIALECT) as opened:
        yield opened


def _part(token, number):
    part = token.split(".")[number]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


async def _token(here, slug):
    shown = here.members[slug]["parcel"]
    body = json.dumps({"key": shown["key"], "code": shown["code"]}).encode()
    answer = await here.ask(
        "POST", "/parcel/v3/pass", headers=[("content-type", "application/json")], body=body
    )
    assert answer.status == 201
    return answer.json["parcel"]["pass"]["value"]


async def test_one_issuer_and_key_for_all(here):
    """TK-13: tokens of two organisations have one issuer and key; header and key set name it alike."""
    tokens = [await _token(here, slug) for slug in (MAIN, OTHER)]
    headers = [_part(token, 0) for token in tokens]
    assert headers[0] == headers[1]
    assert {_part(token, 1)["iss"] for token in tokens} == {"https://keys.example/parcels"}
    published = await here.local.rings.published("parcels", here.clock.now())
    keys = {jwk["kid"]: jwk for jwk in published}
    assert headers[0]["x5t"] == keys[headers[0]["kid"]]["x5t"]
    own = [
        jwk["kid"] for jwk in await here.local.rings.published(here.organisations[MAIN].id, here.clock.now())
    ]
    assert not keys.keys() & set(own)


async def test_a_turn_of_the_shared_ring(here):
    """TK-14: once the shared ring turns, all organisations' tokens have the next key, published before."""
    before = _part(await _token(here, MAIN), 0)["kid"]
    now = here.clock.now()
    shown = [jwk["kid"] for jwk in await here.local.rings.published("parcels", now)]
    await here.local.rings.rotate(
        "parcels",
        Algorithm.RS256,
        now,
        longest_lifetime=here.local.longest_lifetime(),
        actor="operator:test",
        request_id=uuid7(now, here.local.dice),
    )
    after = {_part(await _token(here, slug), 0)["kid"] for slug in (MAIN, OTHER)}
    assert after == set(shown) - {before}
