"""Refresh families over the whole road: rotation, grace, replay, scope, binding, end of life."""

import asyncio

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from harness import Deployment, deployment
from integration.renewal import another_caller, demo_caller
from keyturn.core.errors import Fault, Unavailable
from keyturn.core.forms import Form
from keyturn.core.refresh_token import make_refresh_token, read_refresh_token
from keyturn.core.secret import Secret
from keyturn.core.vocabulary import Reason
from keyturn.exchange import successor
from keyturn.seeding import OTHER

REFUSED = {"error": "invalid_grant"}


@pytest.fixture(params=Form, ids=lambda form: form.name.lower())
async def here(request: pytest.FixtureRequest):
    """Open a deployment that writes refresh tokens in one form or the other."""
    async with deployment() as opened:
        opened.local.forms.written = request.param
        yield opened


async def test_offline_access_gives_a_refresh_token_that_rotates(here: Deployment) -> None:
    """RT-01: a refresh gives a fresh access token and another refresh token."""
    caller = demo_caller(here)
    first = await caller.begin()
    second = await caller.renewed(first["refresh_token"])
    assert second["refresh_token"] != first["refresh_token"]
    assert second["access_token"] != first["access_token"]
    assert second["scope"] == first["scope"]
    assert await caller.is_active(second["access_token"])


async def test_without_offline_access_there_is_no_refresh_token(here: Deployment) -> None:
    """A client that does not ask ``offline_access`` gets no refresh token."""
    assert "refresh_token" not in await demo_caller(here).begin("read")


async def test_a_client_without_the_grant_cannot_ask_offline_access(here: Deployment) -> None:
    """TE-07: ``offline_access`` needs the refresh grant, whatever the client's scopes say."""
    caller = await another_caller(here, grants=("client_credentials",))
    answer = await caller.post("token", grant_type="client_credentials", scope="offline_access")
    assert (answer.status, answer.json["error"]) == (400, "invalid_scope")


async def test_a_lost_answer_is_given_again(here: Deployment) -> None:
    """RT-02: inside the grace window the same successor comes again, with a fresh access token."""
    caller = demo_caller(here)
    first = await caller.begin()
    second = await caller.renewed(first["refresh_token"])
    here.clock.advance(9)
    again = await caller.renewed(first["refresh_token"])
    assert again["refresh_token"] == second["refresh_token"]
    assert again["access_token"] != second["access_token"]
    assert await caller.is_active(second["access_token"])


async def test_a_replay_after_the_window_ends_the_family(here: Deployment) -> None:
    """RT-02: a used token that comes back late ends the family, access tokens included."""
    caller = demo_caller(here)
    first = await caller.begin()
    second = await caller.renewed(first["refresh_token"])
    here.clock.advance(10)
    assert (await caller.renew(first["refresh_token"])).json == REFUSED
    assert (await caller.renew(second["refresh_token"])).json == REFUSED
    for token in (first["access_token"], second["access_token"], second["refresh_token"]):
        assert not await caller.is_active(token)


async def test_a_replay_after_the_successor_was_used_ends_the_family(here: Deployment) -> None:
    """RT-02: once the successor was used, its predecessor is a theft, grace window or not."""
    caller = demo_caller(here)
    first = await caller.begin()
    second = await caller.renewed(first["refresh_token"])
    third = await caller.renewed(second["refresh_token"])
    assert (await caller.renew(first["refresh_token"])).json == REFUSED
    assert (await caller.renew(third["refresh_token"])).json == REFUSED
    assert not await caller.is_active(third["access_token"])
    refused = [row for row in await here.audit("token.refused") if row.reason == "refresh_token_replayed"]
    assert len(refused) == 1


async def test_a_replay_with_a_wrong_wish_ends_the_family(here: Deployment) -> None:
    """RT-02: a theft is one, whatever else is wrong with what the used token came with."""
    caller = demo_caller(here)
    for wish in ({"scope": "nobody:has"}, {"resource": "urn:nobodys"}):
        first = await caller.begin()
        second = await caller.renewed(first["refresh_token"])
        here.clock.advance(10)
        assert (await caller.renew(first["refresh_token"], **wish)).json == REFUSED
        assert not await caller.is_active(second["access_token"])


@pytest.mark.parametrize("behind_seconds", [0, 4])
async def test_grace_zero_switches_the_window_off(here: Deployment, behind_seconds: int) -> None:
    """RT-02 and RE-07: with a window of 0 a repeat ends the family, on a node whose clock is behind too."""
    organisation = await here.organisation()
    await here.replace(organisation, settings={"oauth2": {"refresh_grace_seconds": 0}})
    caller = demo_caller(here)
    first = await caller.begin()
    await caller.renewed(first["refresh_token"])
    here.clock.advance(-behind_seconds)
    assert (await caller.renew(first["refresh_token"])).json == REFUSED


async def test_reuse_keeps_the_first_refresh_token(here: Deployment) -> None:
    """With mode ``reuse`` the same refresh token stays good, for callers that keep the first one."""
    organisation = await here.organisation()
    await here.replace(organisation, settings={"oauth2": {"refresh_mode": "reuse"}})
    caller = demo_caller(here)
    first = await caller.begin()
    for _ in range(3):
        here.clock.advance(60)
        assert (await caller.renewed(first["refresh_token"]))["refresh_token"] == first["refresh_token"]


async def test_fifty_at_once_get_one_successor(here: Deployment) -> None:
    """RT-01: of fifty parallel refreshes all get the one successor there is."""
    caller = demo_caller(here)
    first = await caller.begin()
    answers = await asyncio.gather(*(caller.renew(first["refresh_token"]) for _ in range(50)))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.json["refresh_token"] for answer in answers}) == 1
    assert await caller.is_active(answers[0].json["refresh_token"])


async def test_families_renewed_in_one_turn_are_not_mixed_up(here: Deployment) -> None:
    """RT-01: successors that are made together each carry on their own family, and its scope."""
    caller = demo_caller(here)
    scopes = ["read offline_access", "write offline_access"] * 4
    begun = [await caller.begin(scope) for scope in scopes]
    for _ in range(2):
        answers = await asyncio.gather(*(caller.renew(each["refresh_token"]) for each in begun))
        begun = [answer.json for answer in answers]
        assert [each["scope"] for each in begun] == scopes
    assert len({each["refresh_token"] for each in begun}) == len(scopes)


async def test_scope_shrinks_for_one_token_only(here: Deployment) -> None:
    """RT-04: a smaller scope is for this token; the next refresh has the whole grant again."""
    caller = demo_caller(here)
    first = await caller.begin()
    second = await caller.renewed(first["refresh_token"], scope="read")
    assert second["scope"] == "read"
    third = await caller.renewed(second["refresh_token"])
    assert third["scope"] == first["scope"]


async def test_scope_never_grows(here: Deployment) -> None:
    """RT-04: a scope outside the grant is refused, though the client may have it, and nothing is used up."""
    caller = demo_caller(here)
    first = await caller.begin("read offline_access")
    answer = await caller.renew(first["refresh_token"], scope="read write")
    assert (answer.status, answer.json["error"]) == (400, "invalid_scope")
    assert (await caller.renewed(first["refresh_token"]))["scope"] == "read offline_access"


async def test_bound_to_client_and_organisation(here: Deployment) -> None:
    """RT-05: another client, of this or another organisation, cannot use a refresh token, nor end it."""
    caller = demo_caller(here)
    first = await caller.begin()
    for stranger in (await another_caller(here), demo_caller(here, OTHER)):
        assert (await stranger.renew(first["refresh_token"])).json == REFUSED
    assert (await caller.renew(first["refresh_token"])).status == 200


async def test_a_confidential_client_authenticates(here: Deployment) -> None:
    """RT-05: naming the client is not enough."""
    caller = demo_caller(here)
    first = await caller.begin()
    answer = await caller.post(
        "token",
        anonymous=True,
        grant_type="refresh_token",
        refresh_token=first["refresh_token"],
        client_id=caller.client_id,
    )
    assert (answer.status, answer.json) == (401, {"error": "invalid_client"})


async def test_an_absolute_end_however_often_renewed(here: Deployment) -> None:
    """RT-06: at the end of its life a family is over, though it was renewed a moment ago."""
    organisation = await here.organisation()
    await here.replace(organisation, settings={"oauth2": {"refresh_lifetime_seconds": 100}})
    caller = demo_caller(here)
    token = (await caller.begin())["refresh_token"]
    for _ in range(3):
        here.clock.advance(30)
        token = (await caller.renewed(token))["refresh_token"]
    here.clock.advance(10)
    assert (await caller.renew(token)).json == REFUSED


async def test_a_store_failure_uses_nothing_up(here: Deployment) -> None:
    """RT-03: a refresh that could not be recorded is 503, and the same token is good afterwards."""
    caller = demo_caller(here)
    first = await caller.begin()
    here.store.recorder.raises = Unavailable(Reason.STORE_UNAVAILABLE)
    assert (await caller.renew(first["refresh_token"])).status == 503
    here.store.recorder.raises = None
    assert (await caller.renew(first["refresh_token"])).status == 200


async def test_a_successor_that_cannot_be_made_uses_nothing_up(
    here: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RT-03: where the next refresh token cannot be made, the same token is good afterwards."""
    caller = demo_caller(here)
    first = await caller.begin()
    before = await caller.about(first["refresh_token"])

    def cannot(*_: object) -> None:
        raise Fault("no dice")

    with monkeypatch.context() as broken:
        broken.setattr(successor, "make_refresh_token", cannot)
        broken.setattr(successor, "make_numbered_token", cannot)
        assert (await caller.renew(first["refresh_token"])).status == 500
    assert await caller.about(first["refresh_token"]) == before
    assert (await caller.renew(first["refresh_token"])).status == 200


@pytest.mark.parametrize(
    "made_up",
    [
        "nothing like it",
        "kt_rt_" + "0" * 98,
        "kt_cs_GhhEbp9uYYnBu1lBkeu9RtWeVCPZuzGMFKt0U2qWONo0xng5x",
    ],
)
async def test_made_up_tokens_are_nothing(here: Deployment, made_up: str) -> None:
    """TK-08: what is no refresh token of ours is refused, and ends no family."""
    caller = demo_caller(here)
    first = await caller.begin()
    assert (await caller.renew(made_up)).json == REFUSED
    assert (await caller.renew(first["access_token"])).json == REFUSED
    assert (await caller.renew(first["refresh_token"])).status == 200


async def test_a_forged_tag_ends_no_family(here: Deployment) -> None:
    """RT-02: who knows a family's id, as every access token tells it, makes no token that ends it."""
    caller = demo_caller(here)
    first = await caller.begin()
    second = await caller.renewed(first["refresh_token"])
    said = read_refresh_token(Secret(first["refresh_token"]))
    forged = make_refresh_token(said.family_id, said.generation, lambda _body: bytes(32), bytes(46))
    assert (await caller.renew(forged.reveal())).json == REFUSED
    assert (await caller.renew(second["refresh_token"])).status == 200


async def test_a_pepper_from_elsewhere_ends_no_family(here: Deployment) -> None:
    """TN-01: who has the pepper that an organisation brought along makes no token of a family of another."""
    caller = demo_caller(here)
    first = await caller.begin()
    second = await caller.renewed((await caller.renewed(first["refresh_token"]))["refresh_token"])
    theirs = here.bring_pepper()
    said = read_refresh_token(Secret(first["refresh_token"]))
    forged = make_refresh_token(said.family_id, said.generation, theirs.tag, bytes(46)).reveal()
    assert (await caller.renew(forged)).json == REFUSED
    assert (await caller.post("revoke", token=forged)).status == 200
    assert (await caller.renew(second["refresh_token"])).status == 200


async def test_a_family_keeps_its_pepper(here: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """RT-02: where new tags go under a newer pepper, a family goes on under its own, and a replay ends it."""
    caller = demo_caller(here)
    first = await caller.begin()
    own = here.local.digester.tag

    def newer(message: bytes, pepper_id: str = "newer") -> bytes:
        return own(message, pepper_id)

    monkeypatch.setattr(here.local.digester, "tag", newer)
    token = first["refresh_token"]
    for _ in range(3):
        token = (await caller.renewed(token))["refresh_token"]
    assert (await caller.renew(first["refresh_token"])).json == REFUSED
    assert (await caller.renew(token)).json == REFUSED


async def test_a_family_goes_on_in_another_form(here: Deployment) -> None:
    """RE-04: between two releases a family's tokens change their form, and a lost answer is given again."""
    caller = demo_caller(here)
    first = await caller.begin()
    token = first["refresh_token"]
    for form in (Form.SPELLED, Form.FIRST, Form.SPELLED):
        here.local.forms.written = form
        successor = (await caller.renewed(token))["refresh_token"]
        assert (successor[6] >= "8") == (form is Form.SPELLED)
        here.local.forms.written = Form.FIRST
        assert (await caller.renewed(token))["refresh_token"] == successor
        token = successor
    assert (await caller.renew(first["refresh_token"])).json == REFUSED
    assert (await caller.renew(token)).json == REFUSED


async def test_the_first_release_never_meets_a_salt(here: Deployment) -> None:
    """RE-04: where 0.1.0 knows the token before, what its row keeps opens there, whatever was said."""
    here.local.forms.written = Form.FIRST
    caller = demo_caller(here)
    first = (await caller.begin())["refresh_token"]
    here.local.forms.written = Form.SPELLED
    second = (await caller.renewed(first))["refresh_token"]
    family_id = read_refresh_token(Secret(first)).family_id
    kept = (await here.store.registry.find_family(family_id)).successor_sealed
    info = b"keyturn refresh successor " + family_id.encode()
    key = HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(first.encode())
    assert AESGCM(key).decrypt(kept[:12], kept[12:], family_id.encode()).decode() == second
    assert second[6] >= "8"
    await caller.renewed(second)
    assert len((await here.store.registry.find_family(family_id)).successor_sealed) == 32


async def test_a_salt_that_does_not_fit_is_no_token(here: Deployment) -> None:
    """RT-02: where a row's salt was altered, a lost answer is a fault and not a token that nobody knows."""
    here.local.forms.written = Form.SPELLED
    caller = demo_caller(here)
    first = await caller.begin()
    second = await caller.renewed(first["refresh_token"])
    family = await here.store.registry.find_family(
        read_refresh_token(Secret(first["refresh_token"])).family_id
    )
    await here.replace(family, successor_sealed=bytes(32))
    assert (await caller.renew(first["refresh_token"])).status == 500
    assert (await caller.renew(second["refresh_token"])).status == 200


async def test_an_older_generation_is_known_without_being_stored(here: Deployment) -> None:
    """RT-02: a token from many rotations ago still ends its family, though no row remembers it."""
    caller = demo_caller(here)
    first = await caller.begin()
    token = first["refresh_token"]
    for _ in range(5):
        token = (await caller.renewed(token))["refresh_token"]
    assert (await caller.renew(first["refresh_token"])).json == REFUSED
    assert (await caller.renew(token)).json == REFUSED


@pytest.mark.parametrize("what", ["client", "organisation", "credential"])
async def test_disabling_ends_families_and_enabling_revives_none(here: Deployment, what: str) -> None:
    """RV-04: what rested on a disabled client, organisation or secret stays dead when that is back."""
    caller = demo_caller(here)
    first = await caller.begin()
    record = {
        "client": await here.client(caller.client_id),
        "organisation": await here.organisation(),
        "credential": (await here.secrets(caller.client_id))[0],
    }[what]
    await here.replace(record, epoch=record.epoch + 1)
    assert (await caller.renew(first["refresh_token"])).json == REFUSED
    assert not await caller.is_active(first["access_token"])
    assert await caller.is_active((await caller.begin("read"))["access_token"])


async def test_a_refresh_token_stands_nowhere_in_clear(here: Deployment) -> None:
    """TK-12: neither the audit trail nor a family's row holds a refresh token."""
    caller = demo_caller(here)
    first = await caller.begin()
    second = await caller.renewed(first["refresh_token"])
    rows = repr(await here.audit()) + repr(list(here.store._store._shelf.rows.values()))
    assert first["refresh_token"] not in rows
    assert second["refresh_token"] not in rows


async def test_a_replay_beside_a_renewal_ends_the_family(here: Deployment) -> None:
    """RT-02: a replay is not outrun by a renewal in the same moment, in whichever order they come."""
    caller = demo_caller(here)
    for order in (1, -1):
        first = await caller.begin()
        newest = await caller.renewed((await caller.renewed(first["refresh_token"]))["refresh_token"])
        together = [caller.renew(first["refresh_token"]), caller.renew(newest["refresh_token"])]
        replayed, renewed = (await asyncio.gather(*together[::order]))[::order]
        assert replayed.json == REFUSED
        for answer in (newest, renewed.json):
            if "refresh_token" in answer:
                assert (await caller.renew(answer["refresh_token"])).json == REFUSED
                assert not await caller.is_active(answer["access_token"])


async def test_a_renewal_loses_an_audience_with_its_client(here: Deployment) -> None:
    """TE-07: a resource taken from a client is not given by its renewals either."""
    caller = await another_caller(here, audiences=("urn:a", "urn:b"))
    answer = await caller.post(
        "token", grant_type="client_credentials", scope="read offline_access", resource="urn:b"
    )
    token = answer.json["refresh_token"]
    client = await here.client(caller.client_id)
    await here.replace(client, audiences=("urn:a",))
    answer = await caller.renew(token)
    assert (answer.status, answer.json["error"]) == (400, "invalid_target")
