"""Kept terms: a second request with the same words is decided as the first was, until a record changes."""

import base64
import json

import pytest

from harness import basic, deployment
from keyturn.core.profile import TokenProfile
from keyturn.core.shapes import Member, Shape
from keyturn.exchange.minting import compile_claims
from keyturn.exchange.terms import TERMS_KEPT

FORM = ("Content-Type", "application/x-www-form-urlencoded")


@pytest.fixture
async def here():
    """Open a deployment of the house's dialects."""
    async with deployment() as opened:
        yield opened


async def token(here, body=b"grant_type=client_credentials&scope=read"):
    """Ask for a token of the oauth2 demo's client."""
    members = here.members["acme"]["oauth2"]
    headers = [FORM, ("Authorization", basic(members["client_id"], members["client_secret"]))]
    return await here.ask("POST", "/o/acme/oauth2/token", headers=headers, body=body)


async def test_terms_are_kept_by_words(here):
    """The same words find the terms of the first request; other words make their own."""
    kept = here.desk._services.terms._kept
    for _ in range(3):
        assert (await token(here)).status == 200
    assert len(kept) == 1
    assert (await token(here, b"grant_type=client_credentials&scope=write")).json["scope"] == "write"
    assert len(kept) == 2


async def test_what_changed_is_decided_anew(here):
    """TE-07: Scopes and lifetime follow the records at once, although the words are the same."""
    client_id = here.members["acme"]["oauth2"]["client_id"]
    assert (await token(here)).json["expires_in"] == 600
    organisation = await here.replace(
        await here.organisation(), settings={"oauth2": {"lifetime_seconds": 60}}
    )
    assert (await token(here)).json["expires_in"] == 60
    await here.replace(await here.client(client_id), max_lifetime_seconds=30)
    assert (await token(here)).json["expires_in"] == 30
    await here.replace(await here.client(client_id), scopes=("write",))
    assert (await token(here)).json["error"] == "invalid_scope"
    await here.replace(await here.client(client_id), scopes=("read",), grants=())
    assert (await token(here)).json["error"] == "unauthorized_client"
    await here.replace(organisation, disabled=True)
    assert (await token(here)).json["error"] == "invalid_client"


def family_of(answer):
    """The refresh family that an access token says it is of."""
    middle = answer.json["access_token"].split(".")[1]
    return json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))["kt"]["f"]


async def test_each_family_is_its_own(here):
    """RT-02: tokens from the same terms are of the family that each began or renewed, and of no other."""
    body = b"grant_type=client_credentials&scope=offline_access"
    kept = here.desk._services.terms._kept
    first, second = await token(here, body), await token(here, body)
    assert family_of(first) != family_of(second)
    assert len(kept) == 1
    for begun in (first, second):
        renewal = b"grant_type=refresh_token&refresh_token=" + begun.json["refresh_token"].encode()
        renewed = await token(here, renewal)
        assert family_of(renewed) == family_of(begun)
        assert renewed.json["refresh_token"] != begun.json["refresh_token"]
    assert len(kept) == 2


async def test_a_family_has_what_it_was_granted(here):
    """RT-04: the terms of one family's renewal are not those of another that was granted less."""
    families = [
        (await token(here, b"grant_type=client_credentials&scope=offline_access+" + scope)).json
        for scope in (b"read", b"write")
    ]
    for begun in families:
        renewal = b"grant_type=refresh_token&refresh_token=" + begun["refresh_token"].encode()
        renewed = (await token(here, renewal)).json
        assert set(renewed["scope"].split()) == set(begun["scope"].split())


async def test_terms_are_bounded(here):
    """RE-10: However many words clients find, only the newest terms are kept."""
    terms = here.desk._services.terms
    await token(here)
    (made,) = terms._kept.values()
    terms._kept.update(dict.fromkeys(((n,) for n in range(TERMS_KEPT - 1)), made))
    await token(here, b"grant_type=client_credentials&scope=write")
    assert len(terms._kept) == TERMS_KEPT
    assert made.decision.scopes == ("read",)
    assert next(iter(terms._kept)) == (0,)


def test_a_claim_of_every_token_is_no_contracts_own():
    """A profile whose table has a claim that every token has does not compile."""
    profile = TokenProfile(
        kind="toy.access", dialect="toy", lifetime_seconds=60, claims=Shape((Member("exp", "expires_at"),))
    )
    with pytest.raises(ValueError, match="exp"):
        compile_claims(profile)
