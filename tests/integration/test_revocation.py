"""Revocation and introspection over the whole road (RFC 7009, RFC 7662)."""

import asyncio
from datetime import timedelta

import pytest

from harness import Deployment, deployment
from integration.renewal import another_caller, demo_caller
from keyturn.core.errors import Unavailable
from keyturn.core.vocabulary import Algorithm, Reason
from keyturn.seeding import OTHER
from keyturn.tokens import keyset

INACTIVE = {"active": False}


@pytest.fixture
async def here():
    """Open a deployment."""
    async with deployment() as opened:
        yield opened


async def test_introspection_tells_what_a_token_says(here: Deployment) -> None:
    """RFC 7662 section 2.2: an active token's members are those of the token."""
    caller = demo_caller(here)
    token = await caller.begin("read")
    said = await caller.about(token["access_token"])
    assert said["active"] is True
    assert said["client_id"] == said["sub"] == caller.client_id
    assert (said["scope"], said["token_type"]) == ("read", "Bearer")
    assert said["exp"] - said["iat"] == token["expires_in"]


async def test_a_token_of_a_withdrawn_key_is_dead_at_once(here: Deployment) -> None:
    """TK-14, IN-01: introspection refuses what a withdrawn key signed, remembered or not; others go on."""
    caller = demo_caller(here)
    token = await caller.begin("read")
    assert (await caller.about(token["access_token"]))["active"] is True  # and is remembered now
    organisation, now = await here.organisation(), here.clock.now()
    key_id = (await here.local.rings.signer(organisation.id, Algorithm.ES256, now)).key_id
    await here.local.rings.withdraw(
        organisation.id,
        key_id,
        now,
        longest_lifetime=timedelta(minutes=10),
        actor="operator:a",
        request_id="r",
    )
    assert await caller.about(token["access_token"]) == INACTIVE
    assert (await caller.about((await caller.begin("read"))["access_token"]))["active"] is True


async def test_introspection_needs_the_right(here: Deployment) -> None:
    """IN-01: a client without the right to ask is refused, whatever it asks about."""
    caller = await another_caller(here, rights=())
    token = await caller.begin("read")
    answer = await caller.post("introspect", token=token["access_token"])
    assert (answer.status, answer.json["error"]) == (400, "unauthorized_client")


async def test_introspection_needs_a_client(here: Deployment) -> None:
    """IN-01: nobody asks anonymously."""
    answer = await demo_caller(here).post("introspect", anonymous=True, token="x")
    assert (answer.status, answer.json) == (401, {"error": "invalid_client"})


async def test_whatever_is_not_good_here_is_only_inactive(here: Deployment) -> None:
    """IN-01, TN-03: garbage, an expired token, another organisation's, another kind: exactly inactive."""
    caller = demo_caller(here)
    foreign = await demo_caller(here, OTHER).begin()
    expired = await caller.begin()
    here.clock.advance(600)
    endorsed = here.members["acme"]["endorsed"]
    answer = await here.ask(
        "POST",
        "/api/v1/auth/tokens",
        headers=[("Content-Type", "application/x-www-form-urlencoded")],
        body=(
            f"client_id={endorsed['client_id']}&client_secret={endorsed['client_secret']}"
            "&grant_type=client_credentials"
        ).encode(),
    )
    strangers = [
        foreign["access_token"],
        foreign["refresh_token"],
        expired["access_token"],
        answer.json["access_token"],
        caller.secret,
        "garbage",
        "a.b.c",
    ]
    for token in strangers:
        assert await caller.about(token) == INACTIVE


async def test_expiry_is_exact(here: Deployment) -> None:
    """TK-09: a token is good until its last second and dead at ``exp``, without leeway."""
    caller = demo_caller(here)
    token = await caller.begin("read")
    here.clock.advance(599)
    assert await caller.is_active(token["access_token"])
    here.clock.advance(1)
    assert not await caller.is_active(token["access_token"])


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "nonsense"])
async def test_revoking_an_access_token_ends_it_alone(here: Deployment, hint: str) -> None:
    """RV-01: revocation works whatever the hint says; the family of the token lives on."""
    caller = demo_caller(here)
    first = await caller.begin()
    answer = await caller.post("revoke", token=first["access_token"], token_type_hint=hint)
    assert answer.status == 200
    assert not await caller.is_active(first["access_token"])
    assert (await caller.renew(first["refresh_token"])).status == 200


@pytest.mark.parametrize("hint", ["access_token", "refresh_token"])
async def test_revoking_a_refresh_token_ends_all_of_its_grant(here: Deployment, hint: str) -> None:
    """RV-02: revoking a refresh token ends every access token of its family."""
    caller = demo_caller(here)
    first = await caller.begin()
    second = await caller.renewed(first["refresh_token"])
    answer = await caller.post("revoke", token=second["refresh_token"], token_type_hint=hint)
    assert answer.status == 200
    for token in (first["access_token"], second["access_token"], second["refresh_token"]):
        assert not await caller.is_active(token)
    assert (await caller.renew(second["refresh_token"])).status == 400


async def test_unknown_and_dead_tokens_are_no_error(here: Deployment) -> None:
    """RV-01: revoking nonsense, or the same token twice, is 200 each time."""
    caller = demo_caller(here)
    token = (await caller.begin("read"))["access_token"]
    for shown in ("nonsense", token, token):
        assert (await caller.post("revoke", token=shown)).status == 200


async def test_nobody_revokes_another_clients_token(here: Deployment) -> None:
    """RV-01: a token of another client is refused (RFC 7009 section 2.1) and stays good."""
    caller = demo_caller(here)
    first = await caller.begin()
    stranger = await another_caller(here)
    for token in (first["access_token"], first["refresh_token"]):
        answer = await stranger.post("revoke", token=token)
        assert (answer.status, answer.json["error"]) == (400, "invalid_grant")
    elsewhere = demo_caller(here, OTHER)
    assert (await elsewhere.post("revoke", token=first["access_token"])).status == 200
    assert await caller.is_active(first["access_token"])
    assert await caller.is_active(first["refresh_token"])


async def test_a_revocation_that_cannot_be_kept_is_refused(here: Deployment) -> None:
    """RV-03: 503, and the token is as good as before; the next try ends it."""
    caller = demo_caller(here)
    token = (await caller.begin("read"))["access_token"]
    here.store.recorder.raises = Unavailable(Reason.STORE_UNAVAILABLE)
    assert (await caller.post("revoke", token=token)).status == 503
    here.store.recorder.raises = None
    assert await caller.is_active(token)
    assert (await caller.post("revoke", token=token)).status == 200
    assert not await caller.is_active(token)


async def test_stale_memory_answers_nothing(here: Deployment) -> None:
    """HT-09: introspection whose memory is not confirmed is 503, never active."""
    caller = demo_caller(here)
    token = (await caller.begin("read"))["access_token"]
    here.store.registry.raises = Unavailable(Reason.CACHE_STALE)
    answer = await caller.post("introspect", token=token)
    assert answer.status == 503
    assert answer.header("retry-after") == "1"


async def test_a_revocation_is_audited(here: Deployment) -> None:
    """AD-05: the trail says who revoked what."""
    caller = demo_caller(here)
    token = (await caller.begin("read"))["access_token"]
    await caller.post("revoke", token=token)
    [row] = await here.audit("token.revoked")
    assert row.actor == f"client:{caller.client_id}"


async def test_answers_about_tokens_are_not_stored(here: Deployment) -> None:
    """TE-08: introspection and revocation answers are for nobody's cache."""
    caller = demo_caller(here)
    for route in ("introspect", "revoke"):
        answer = await caller.post(route, token="x")
        assert answer.header("cache-control") == "no-store"
        assert answer.header("x-content-type-options") == "nosniff"


async def test_a_token_in_the_query_is_refused(here: Deployment) -> None:
    """TE-01: a token belongs in the body, never in a URL."""
    caller = demo_caller(here)
    path = "/o/acme/oauth2/introspect"
    answer = await here.ask(
        "POST", path, query=b"token=x", headers=[("Content-Type", "application/x-www-form-urlencoded")]
    )
    assert answer.status == 400
    assert caller.slug == "acme"


async def test_a_used_refresh_token_revokes_too(here: Deployment) -> None:
    """RV-02: whoever lost the answer to a refresh can still log out with the token it has."""
    caller = demo_caller(here)
    first = await caller.begin()
    second = await caller.renewed(first["refresh_token"])
    assert (await caller.post("revoke", token=first["refresh_token"])).status == 200
    for token in (first["refresh_token"], second["refresh_token"]):
        assert (await caller.renew(token)).status == 400
    assert not await caller.is_active(second["access_token"])


async def test_a_revocation_beside_a_renewal_holds(here: Deployment) -> None:
    """RV-02: a 200 to a revocation means that nothing of the grant lives, whatever ran beside it."""
    caller = demo_caller(here)
    for order in (1, -1):
        first = await caller.begin()
        token = first["refresh_token"]
        together = [caller.renew(token), caller.post("revoke", token=token)]
        renewed, revoked = (await asyncio.gather(*together[::order]))[::order]
        assert revoked.status == 200
        tokens = [first["access_token"], token]
        if renewed.status == 200:
            tokens += [renewed.json["access_token"], renewed.json["refresh_token"]]
        for each in tokens:
            assert not await caller.is_active(each)
        assert (await caller.renew(token)).status == 400


async def test_a_token_that_was_made_here_is_known(here: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """IN-01: of a token that is handed out after somebody asked, the signature is not verified again."""
    verified: list[tuple[bytes, bytes]] = []
    monkeypatch.setattr(keyset, "es256_verifier", lambda _key: lambda *given: verified.append(given))
    caller = demo_caller(here)
    early = (await caller.begin("read"))["access_token"]
    assert await caller.about(early) == INACTIVE
    token = (await caller.begin("read"))["access_token"]
    assert (await caller.about(token))["active"] is True
    assert len(verified) == 1  # which found it wrong
    assert (await caller.post("revoke", token=token)).status == 200
    assert await caller.about(token) == INACTIVE
