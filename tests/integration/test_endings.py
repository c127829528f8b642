"""What ends a token before its time: secrets, clients and organisations that end (RV-04)."""

import asyncio
from datetime import timedelta
from functools import partial

import pytest

from harness import ACTOR, Deployment, basic, clear_texts, deployment
from integration.renewal import FORM, Caller, another_caller, demo_caller
from keyturn.core.errors import Unavailable
from keyturn.core.vocabulary import Reason
from keyturn.directory.clients import disable_client, enable_client, end_client
from keyturn.directory.credentials import disable_credential, enable_credential, end_credential
from keyturn.directory.deletion import delete_organisation, show_deletion
from keyturn.directory.organisations import (
    change_organisation_setting,
    disable_organisation,
    enable_organisation,
)
from keyturn.directory.policy_settings import POLICY_SETTINGS
from keyturn.directory.rotation import cancel_rotation, finish_rotation, rotate_client_secret
from keyturn.seeding import MAIN, OTHER

DAY = 86_400


@pytest.fixture
async def here():
    """Open a deployment."""
    async with deployment() as opened:
        yield opened


class Operator:
    """Acts on one client, as the command line does."""

    def __init__(self, here: Deployment, caller: Caller) -> None:
        self.here = here
        self.caller = caller

    async def act(self, verb, *arguments, **named):
        """Call a verb of the client's organisation, now."""
        organisation = await self.here.organisation(self.caller.slug)
        store = self.here.local.deployment.organisation_store(organisation.id)
        at = {"now": self.here.clock.now(), "dice": self.here.local.dice}
        return await verb(ACTOR, store, *arguments, **at, **named)

    async def widely(self, verb, *arguments, **named):
        """Call a verb of the deployment on the client's organisation, now."""
        at = {"now": self.here.clock.now(), "dice": self.here.local.dice}
        return await verb(ACTOR, self.here.local.deployment, self.caller.slug, *arguments, **at, **named)

    async def rotate(self, overlap: timedelta) -> str:
        """Rotate the client's secret, and give the new one."""
        _, secret = await self.act(
            rotate_client_secret, self.caller.client_id, overlap, digester=self.here.local.digester
        )
        return secret.reveal()

    async def secret_id(self) -> str:
        """Name the client's first secret."""
        return (await self.here.secrets(self.caller.client_id))[0].id

    async def set_policy(self, name: str, value: str | None) -> None:
        """Set a policy of the client's organisation."""
        tables = {"policy": POLICY_SETTINGS}
        await self.widely(change_organisation_setting, f"policy.{name}", value, tables=tables)

    async def switch(self, what: str, how: str) -> None:
        """End, disable or enable a secret, a client or an organisation."""
        match what, how:
            case "secret", "end":
                await self.act(end_credential, await self.secret_id(), "x")
            case "secret", "disable":
                await self.act(disable_credential, await self.secret_id())
            case "secret", "enable":
                await self.act(enable_credential, await self.secret_id())
            case "organisation", _:
                verbs = {
                    "end": delete_organisation,
                    "disable": disable_organisation,
                    "enable": enable_organisation,
                }
                await self.widely(verbs[how])
            case _:
                verbs = {"end": end_client, "disable": disable_client, "enable": enable_client}
                await self.act(verbs[how], self.caller.client_id)


async def dead(caller: Caller, asker: Caller, token: dict[str, str]) -> bool:
    """Tell whether neither the access token nor the refresh token is good any more."""
    renewal = await caller.renew(token["refresh_token"])
    asked = await asker.about(token["access_token"]), await asker.about(token["refresh_token"])
    return renewal.status in {400, 401} and asked == ({"active": False},) * 2


@pytest.mark.parametrize("what", ["secret", "client", "organisation"])
async def test_disabling_kills_and_enabling_revives_nothing(here: Deployment, what: str) -> None:
    """RV-04: disabling kills tokens and families at once; enabled again, only new tokens are good."""
    caller, asker = await another_caller(here), await another_caller(here)
    operator = Operator(here, caller)
    token = await caller.begin()
    assert await asker.is_active(token["access_token"])
    await operator.switch(what, "disable")
    refused = await caller.post("token", grant_type="client_credentials")
    assert (refused.status, refused.json) == (401, {"error": "invalid_client"})
    if what != "organisation":  # of a disabled one nobody can ask
        assert await dead(caller, asker, token)
    await operator.switch(what, "enable")
    assert await dead(caller, asker, token)
    fresh = await caller.begin()
    assert await asker.is_active(fresh["access_token"])
    assert (await caller.renew(fresh["refresh_token"])).status == 200


@pytest.mark.parametrize("what", ["secret", "client"])
async def test_ending_kills(here: Deployment, what: str) -> None:
    """RV-04: ending a secret or a client kills its tokens and families at once, and no other client's."""
    caller, asker = await another_caller(here), await another_caller(here)
    token, other = await caller.begin(), await asker.begin()
    await Operator(here, caller).switch(what, "end")
    assert await dead(caller, asker, token)
    assert await asker.is_active(other["access_token"])


async def test_one_secret_of_two(here: Deployment) -> None:
    """RV-04: ending the old secret of a rotation leaves alone what came from its successor."""
    caller, asker = await another_caller(here), await another_caller(here)
    operator = Operator(here, caller)
    old = await caller.begin()
    caller_now = Caller(here, caller.client_id, await operator.rotate(timedelta(hours=24)))
    new = await caller_now.begin()
    assert await asker.is_active(old["access_token"])
    assert (await caller.post("token", grant_type="client_credentials")).status == 200
    await operator.act(finish_rotation, await operator.secret_id())
    assert await dead(caller_now, asker, old)
    assert await asker.is_active(new["access_token"])
    assert (await caller_now.renew(new["refresh_token"])).status == 200
    assert (await caller.post("token", grant_type="client_credentials")).status == 401
    assert (await here.audit())[-1].reason == "secret_ended"


async def test_an_overlap_that_passes_ends_what_came_from_it(here: Deployment) -> None:
    """RV-04: when the overlap is over, by the clock alone, the old secret's tokens are dead like its use."""
    caller, asker = await another_caller(here), await another_caller(here)
    caller_now = Caller(here, caller.client_id, await Operator(here, caller).rotate(timedelta(seconds=90)))
    token = await caller.begin()
    here.clock.advance(89)
    assert await asker.is_active(token["access_token"])
    here.clock.advance(1)
    assert await dead(caller_now, asker, token)
    assert (await caller.post("token", grant_type="client_credentials")).status == 401


async def test_cancelling_ends_the_successor_only(here: Deployment) -> None:
    """RV-04: after going back, what came from the successor is dead and what came from the old is not."""
    caller, asker = await another_caller(here), await another_caller(here)
    operator = Operator(here, caller)
    old = await caller.begin()
    caller_now = Caller(here, caller.client_id, await operator.rotate(timedelta(hours=1)))
    new = await caller_now.begin()
    await operator.act(cancel_rotation, await operator.secret_id())
    assert await dead(caller, asker, new)
    assert await asker.is_active(old["access_token"])


# --- use and dormancy ---


async def test_last_use(here: Deployment) -> None:
    """The day of the last use is kept for each secret, whatever it was used for, and written once a day."""
    caller = await another_caller(here)
    assert (await here.secrets(caller.client_id))[0].last_used_on is None
    await caller.begin()
    first = (await here.secrets(caller.client_id))[0]
    assert (first.last_used_on, first.version) == (here.clock.now().date(), 0)
    here.store.recorder.calls.clear()
    await caller.begin()
    [(_, (unit,))] = here.store.recorder.calls
    assert "Touch" not in repr(unit)
    here.clock.advance(DAY)
    await caller.about("nonsense")
    await asyncio.sleep(0.01)
    assert (await here.secrets(caller.client_id))[0].last_used_on == here.clock.now().date()
    here.store.recorder.calls.clear()
    await caller.about("nonsense")
    await asyncio.sleep(0.01)
    assert here.store.recorder.calls == []


async def test_a_use_that_cannot_be_written(here: Deployment) -> None:
    """Introspection answers although the day of use cannot be written; the next question writes it."""
    caller = await another_caller(here)
    here.store.recorder.raises = Unavailable(Reason.STORE_UNAVAILABLE)
    assert await caller.about("nonsense") == {"active": False}
    here.store.recorder.raises = None
    await caller.about("nonsense")
    await asyncio.sleep(0.01)
    assert (await here.secrets(caller.client_id))[0].last_used_on is not None


async def test_dormancy(here: Deployment) -> None:
    """A secret not used for longer than the policy allows is refused until it is enabled again."""
    caller = await another_caller(here)
    operator = Operator(here, caller)
    await operator.set_policy("dormant_after_days", "30")
    await caller.begin()
    here.clock.advance(30 * DAY)
    await caller.begin()
    here.clock.advance(31 * DAY)
    refused = await caller.post("token", grant_type="client_credentials")
    assert (refused.status, refused.json) == (401, {"error": "invalid_client"})
    assert (await here.audit())[-1].reason == "secret_dormant"
    await operator.switch("secret", "enable")
    assert (await here.audit())[-1].kind == "credential.enabled"
    await caller.begin()


async def test_policy_on_what_there_is(here: Deployment) -> None:
    """A policy applies to secrets that were made before it, and to no other organisation's (TN-03)."""
    caller, elsewhere = await another_caller(here), demo_caller(here, OTHER)
    operator = Operator(here, caller)
    ask = partial(caller.post, "token", grant_type="client_credentials")
    here.clock.advance(5 * DAY)
    await operator.set_policy("max_secret_days", "5")
    assert (await ask()).status == 401
    assert (await here.audit())[-1].reason == "secret_expired"
    await operator.set_policy("max_secret_days", None)
    assert (await ask()).status == 200
    tomorrow = (here.clock.now() + timedelta(days=1)).date().isoformat()
    await operator.set_policy("secrets_made_before", tomorrow)
    assert (await ask()).status == 401
    assert (await elsewhere.post("token", grant_type="client_credentials")).status == 200


# --- deletion ---


async def test_deleted(here: Deployment) -> None:
    """TN-05, RV-04, TK-15: nothing of a deleted organisation works, is published or is read any more."""
    caller, elsewhere = demo_caller(here), demo_caller(here, OTHER)
    token, other = await caller.begin(), await elsewhere.begin()
    deleted = await Operator(here, caller).widely(delete_organisation, batch=2)
    assert (deleted.organisation.erased_at, deleted.wiped) == (here.clock.now(), True)
    assert (await here.ask("GET", f"/o/{MAIN}/.well-known/jwks.json")).status == 404
    for answer in (
        await caller.post("token", grant_type="client_credentials"),
        await caller.renew(token["refresh_token"]),
        await caller.post("introspect", token=token["access_token"]),
    ):
        assert (answer.status, answer.json) == (401, {"error": "invalid_client"})
    names = ("Acme", "demo", "read write")
    assert not any(name in repr(each) for each in await own_records(here) for name in names)
    assert all(row.organisation_id != deleted.organisation.id for row in await opened(here))
    inside = here.local.deployment.organisation_store(deleted.organisation.id)
    assert await inside.leftovers(100) == []
    assert await elsewhere.is_active(other["access_token"])
    assert (await elsewhere.renew(other["refresh_token"])).status == 200
    assert (await here.jwks(OTHER))["keys"]
    assert caller.secret not in clear_texts(await here.audit())


async def test_an_ended_organisation_makes_no_key(here: Deployment) -> None:
    """TN-05: a key set that is asked for while memory is old founds no ring behind the deletion."""
    caller = demo_caller(here)
    organisation = await here.organisation()
    await Operator(here, caller).widely(delete_organisation)
    with pytest.raises(Unavailable):
        await here.local.rings.published(organisation.id, here.clock.now())
    assert await here.local.deployment.signing_keys(organisation.id) == []


async def test_an_interrupted_deletion_goes_on(here: Deployment) -> None:
    """TN-05: a deletion that dies in any of its steps leaves all dead, and the next one completes it."""
    caller = demo_caller(here)
    token = await caller.begin()
    operator = Operator(here, caller)
    counts = dict(
        await here.local.deployment.organisation_store((await here.organisation()).id).leftover_counts()
    )
    store, real = here.local.deployment, here.local.deployment._recorder
    for allowed in (0, 1, 1, 1):
        store._recorder = Failing(real, allowed)
        with pytest.raises(Unavailable):
            await operator.widely(delete_organisation, batch=2)
        store._recorder = real
        if allowed:
            assert (await caller.renew(token["refresh_token"])).status == 401
            assert (await here.organisation()).erased_at is None
    half = await show_deletion(ACTOR, store, MAIN)
    assert (half.state, half.completed_at, half.deleted) == ("erasing", None, None)
    assert half.left
    said = []
    assert (await operator.widely(delete_organisation, progress=lambda *each: said.append(each))).records > 0
    assert said[-1][1] == 0
    assert (await here.organisation()).erased_at is not None
    whole = await show_deletion(ACTOR, store, MAIN)
    assert (whole.state, whole.left, whole.deleted) == ("complete", {}, counts)
    assert (await operator.widely(delete_organisation)).records == 0


class Failing:
    """A recorder that goes away after some units."""

    def __init__(self, recorder, allowed: int) -> None:
        self._recorder = recorder
        self._allowed = allowed

    async def record(self, unit):
        """Commit a unit, or not."""
        return await self._pass(self._recorder.record, unit)

    async def record_inside(self, unit, organisation_id):
        """Commit a unit inside an organisation, or not."""
        return await self._pass(self._recorder.record_inside, unit, organisation_id)

    async def _pass(self, record, *arguments):
        if self._allowed == 0:
            raise Unavailable(Reason.STORE_UNAVAILABLE)
        self._allowed -= 1
        return await record(*arguments)


async def own_records(here: Deployment) -> list[object]:
    """Read all that is kept of the main organisation but its audit rows."""
    organisation = await here.organisation()
    store = here.local.deployment.organisation_store(organisation.id)
    kept: list[object] = [organisation, *await store.clients()]
    for client in await store.clients():
        kept += await here.secrets(client.id)
    return kept


async def opened(here: Deployment) -> list[object]:
    """Read the audit rows whose personal fields still open and hold something."""
    page = await here.local.deployment.audit_page(limit=100_000)
    return [row for row, told in zip(page.rows, page.personal, strict=True) if told]


async def test_a_deleted_client_id_is_unknown_like_any(here: Deployment) -> None:
    """TE-09: to a stranger a deleted organisation's client looks like one that never was."""
    caller = demo_caller(here)
    await Operator(here, caller).widely(delete_organisation)
    path, body = f"/o/{MAIN}/oauth2/token", b"grant_type=client_credentials"
    seen = [
        (await here.ask("POST", path, headers=[FORM, ("Authorization", basic(name, "x"))], body=body)).seen()
        for name in (caller.client_id, "00000000-0000-4000-8000-000000000000")
    ]
    assert seen[0] == seen[1]
