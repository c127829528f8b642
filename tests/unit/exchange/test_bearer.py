"""Calls with a token, changes of organisation, renewals: what a token rests on is asked at each use."""

from datetime import timedelta

import msgspec
import pytest

from keyturn.core.errors import InsufficientScope, InvalidGrant, InvalidToken, SlowDown
from keyturn.core.life import Life, State
from keyturn.core.limits import Rate
from keyturn.core.profile import TokenProfile
from keyturn.core.secret import Secret
from keyturn.core.vocabulary import (
    API_TOKEN,
    CHANGE_ORGANISATION,
    ENTITY_SECRET,
    PASSWORD,
    PROJECTS_DELETE,
    PROJECTS_VIEW,
    REFRESH_TOKEN,
    USER_KEY,
    Reason,
)
from keyturn.tokens.own import unverified_organisation
from unit.exchange.people import CLAIMS, scene

OTHER_KIND = TokenProfile(kind="toy.other", dialect="toy", lifetime_seconds=600, claims=CLAIMS)


@pytest.fixture
async def there():
    """Ada, her credentials and an entity."""
    async with scene() as made:
        yield made


async def refused(there, token, kind=InvalidToken, **options):
    """Call with a token that must be refused, and give the private reason."""
    with pytest.raises(kind) as caught:
        await there.call(token, **options)
    return caught.value.reason


async def token_of(there, grant_type=PASSWORD, **options):
    """Get a token."""
    return (await there.get(grant_type, **options)).token.value


async def test_actor_of_a_user(there):
    """TN-03: the token's own claim decides the organisation, and the roles there decide what is permitted."""
    actor = await there.call(await token_of(there, API_TOKEN), permission=PROJECTS_VIEW)
    assert (actor.name, actor.organisation_id) == ("user:ada", there.globex.id)
    assert (actor.user.id, actor.membership.id) == ("ada", "globex-ada")
    assert actor.permissions == {PROJECTS_VIEW}


async def test_actor_of_an_entity(there):
    """Whoever is no user has no role, so nothing that needs one is permitted."""
    token = await token_of(there, ENTITY_SECRET)
    actor = await there.call(token)
    assert (actor.name, actor.organisation_id, actor.permissions) == ("entity:PARTY-1", there.acme.id, set())
    assert await refused(there, token, InsufficientScope, permission=PROJECTS_VIEW) == "permission_missing"


async def test_rights_are_those_of_now(there):
    """A role that is given or taken counts at the next call, with the token there is."""
    token = await token_of(there)
    assert await refused(there, token, InsufficientScope, permission=PROJECTS_DELETE)
    taken = await there.here.replace(there.memberships[0], roles=())
    assert await refused(there, token, InsufficientScope, permission=PROJECTS_VIEW)
    await there.here.replace(taken, roles=("toy:viewer",))
    await there.call(token, permission=PROJECTS_VIEW)


async def test_api_token_narrows(there):
    """A token of an API token stands for no more roles than that was made for."""
    kept = await there.credential("api_token")
    await there.here.replace(kept, roles=())
    issued = await there.get(API_TOKEN)
    assert issued.facts["roles"] == ()
    assert await refused(there, issued.token.value, InsufficientScope, permission=PROJECTS_VIEW)


async def test_scope(there):
    """A good token without the scope of a call is not good for that call."""
    token = await token_of(there, scopes=("api",))
    await there.call(token, scope="api")
    assert await refused(there, token, InsufficientScope, scope="admin") is Reason.SCOPE_MISSING
    assert await refused(there, token, InsufficientScope, scope="ap") is Reason.SCOPE_MISSING


async def test_call_of_another_organisation(there):
    """TN-01: a call that names another organisation than its token's is refused, to members of both too."""
    token = await token_of(there)
    for alias in (there.acme.id, there.acme.api_key):
        await there.call(token, bearer_alias=alias)
    for alias in (there.globex.id, "nowhere"):
        assert await refused(there, token, InsufficientScope, bearer_alias=alias) == "other_organisation"


async def test_no_good_token(there):
    """TK-08: what is missing, garbage, of another kind or not a token at all is refused alike."""
    token = await token_of(there)
    assert await refused(there, None) is Reason.TOKEN_MISSING
    for text in ("", "a.b.c", there.secrets["api_token"], token.reveal() + "x", token.reveal()[:-1]):
        assert await refused(there, Secret(text)) is Reason.TOKEN_REJECTED
    assert await refused(there, token, accepts=(OTHER_KIND,)) is Reason.TOKEN_REJECTED
    assert await refused(there, token, accepts=()) is Reason.TOKEN_REJECTED
    there.here.clock.advance(600)
    assert await refused(there, token) is Reason.TOKEN_REJECTED


async def test_claimed_organisation(there):
    """TN-03: a token that claims another organisation is proved by that one's keys, and so is none."""
    token = (await token_of(there)).reveal()
    other = (await token_of(there, API_TOKEN)).reveal()
    head, _, tail = token.split(".")
    assert unverified_organisation(token) == there.acme.id
    swapped = ".".join((head, other.split(".")[1], tail))
    assert unverified_organisation(swapped) == there.globex.id
    assert await refused(there, Secret(swapped)) is Reason.TOKEN_REJECTED


ENDINGS = {
    "user disabled": lambda s: (s.ada, {"disabled": True, "epoch": 1}),
    "user logged out": lambda s: (s.ada, {"epoch": 1}),
    "membership": lambda s: (s.memberships[1], {"disabled": True, "epoch": 1}),
    "membership given back": lambda s: (s.memberships[1], {"epoch": 2}),
    "organisation": lambda s: (s.globex, {"disabled": True, "epoch": 1}),
    "home": lambda s: (s.acme, {"disabled": True, "epoch": 1}),
}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("grant_type", [USER_KEY, API_TOKEN])
async def test_endings(there, ending, grant_type):
    """RV-04: ending anything a token rests on ends access and refresh tokens, and nothing revives them."""
    options = {"organisation_alias": there.globex.id} if grant_type == USER_KEY else {}
    issued = await there.get(grant_type, **options)
    refresh_token = issued.facts["refresh_token"].reveal()
    await there.call(issued.token.value)
    record, changes = ENDINGS[ending](there)
    if record is there.ada:
        record = await there.user()
    changed = await there.here.replace(record, **changes)
    for _ in range(2):
        assert await refused(there, issued.token.value) is Reason.TOKEN_ENDED
        with pytest.raises(InvalidGrant):
            await there.get(REFRESH_TOKEN, refresh_token)
        if "disabled" not in changes or not changed.disabled:
            return
        changed = await there.here.replace(changed, disabled=False)


class Overtaken:
    """A registry one of whose reads of a user is answered after the user was logged out, as it began."""

    def __init__(self, registry, view):
        """Stand before a registry with what the read began with."""
        self._registry, self._view = registry, view

    def __getattr__(self, name):
        return getattr(self._registry, name)

    async def find_user(self, user_id):
        """Answer once as it was, then as it is."""
        was, self._view = self._view, None
        return was or await self._registry.find_user(user_id)


@pytest.mark.parametrize("road", [REFRESH_TOKEN, CHANGE_ORGANISATION, "call"])
async def test_ended_while_its_user_is_read(there, road):
    """RV-04: what a log-out ends in the moment in which its user is read is dead then and stays dead."""
    issued = await there.get(USER_KEY)
    shown = issued.facts["refresh_token"] if road == REFRESH_TOKEN else issued.token.value
    registry = there.services.registry
    view = await registry.find_user(there.ada.id)
    await there.here.replace(await there.user(), epoch=1)
    there.services = msgspec.structs.replace(there.services, registry=Overtaken(registry, view))
    for _ in range(2):
        with pytest.raises((InvalidGrant, InvalidToken)):
            await (
                there.call(shown)
                if road == "call"
                else there.get(road, shown.reveal(), organisation_alias=there.acme.id)
            )


async def test_ended_credential(there):
    """RV-04: a user key that ends takes its tokens and families along."""
    issued = await there.get(USER_KEY)
    kept = await there.credential("user_key")
    life = Life(created_at=kept.life.created_at, state=State.ENDED)
    await there.here.replace(kept, life=life)
    assert await refused(there, issued.token.value) is Reason.TOKEN_ENDED
    with pytest.raises(InvalidGrant):
        await there.get(REFRESH_TOKEN, issued.facts["refresh_token"].reveal())


async def test_renewal(there):
    """RT-01: a user's family rotates as a client's does, for the organisation it was opened for."""
    first = await there.get(USER_KEY, organisation_alias=there.globex.id)
    shown = first.facts["refresh_token"].reveal()
    second = await there.get(REFRESH_TOKEN, shown)
    again = await there.get(REFRESH_TOKEN, shown)
    successor = second.facts["refresh_token"].reveal()
    assert again.facts["refresh_token"].reveal() == successor != shown
    actor = await there.call(second.token.value)
    assert actor.organisation_id == there.globex.id
    await there.get(REFRESH_TOKEN, successor)


async def test_replay_ends_the_family(there):
    """RT-02: a used refresh token of a user ends the family, access tokens included."""
    first = await there.get(USER_KEY)
    shown = first.facts["refresh_token"].reveal()
    second = await there.get(REFRESH_TOKEN, shown)
    there.here.clock.advance(60)
    with pytest.raises(InvalidGrant) as caught:
        await there.get(REFRESH_TOKEN, shown)
    assert caught.value.reason is Reason.REFRESH_TOKEN_REPLAYED
    assert len(caught.value.consequence) == 2
    await there.here.change(*caught.value.consequence)
    assert await refused(there, second.token.value) is Reason.TOKEN_ENDED


async def test_renewal_is_bound(there):
    """RT-05: a family is renewed by its own client and in its own organisation only."""
    first = await there.get(USER_KEY)
    shown = first.facts["refresh_token"].reveal()
    other = msgspec.structs.replace(there.request(USER_KEY).client_table, id="another")
    for options in (
        {"client_table": other},
        {"organisation": "globex"},
        {"organisation_alias": there.globex.id},
        {"organisation_alias": "nowhere"},
    ):
        with pytest.raises(InvalidGrant):
            await there.get(REFRESH_TOKEN, shown, **options)
    await there.get(REFRESH_TOKEN, shown, organisation="acme")


async def test_renewal_of_whoever_must_use_a_second_factor(there):
    """PW-07: a family that was opened without a second factor is not renewed once its user must use one."""
    first = await there.get(USER_KEY)
    await there.here.replace(await there.user(), mfa_required=True)
    for options in ({}, {"passcode": Secret("anything")}):
        for grant_type, shown in (
            (REFRESH_TOKEN, first.facts["refresh_token"]),
            (CHANGE_ORGANISATION, first.token.value),
        ):
            with pytest.raises(InvalidGrant) as caught:
                await there.get(grant_type, shown.reveal(), organisation="acme", **options)
            assert caught.value.reason is Reason.PASSCODE_IMPOSSIBLE


NO_LONGER = {
    "expired": lambda s, key: {"life": msgspec.structs.replace(key.life, expires_at=s.here.clock.now())},
    "of another dialect": lambda _, __: {"dialects": ("other",)},
}


@pytest.mark.parametrize("why", NO_LONGER)
async def test_renewal_of_what_is_accepted_no_longer(there, why):
    """TE-10: a key that would be refused itself renews nothing either, and takes nobody elsewhere."""
    first = await there.get(USER_KEY)
    key = await there.credential("user_key")
    await there.here.replace(key, **NO_LONGER[why](there, key))
    shown, token = first.facts["refresh_token"].reveal(), first.token.value.reveal()
    for grant_type, secret in ((REFRESH_TOKEN, shown), (CHANGE_ORGANISATION, token)):
        with pytest.raises(InvalidGrant):
            await there.get(grant_type, secret, organisation="acme")


async def test_renewal_of_a_password_where_those_are_off(there):
    """TE-07: where passwords are exchanged no longer, what was got for one is not renewed."""
    first = await there.get(PASSWORD)
    await there.here.replace(there.acme, settings={"toy": {"password_grant": False}})
    with pytest.raises(InvalidGrant) as caught:
        await there.get(REFRESH_TOKEN, first.facts["refresh_token"].reveal())
    assert caught.value.reason is Reason.GRANT_NOT_ALLOWED


async def test_changes_have_an_end(there):
    """RT-06, RT-04: whoever changes back and forth has no more and no longer than the first login gave."""
    issued = await there.get(USER_KEY, scopes=("api",))
    last = there.here.clock.now() + timedelta(hours=1)
    for place in range(6):
        there.here.clock.advance(595)
        slug = ("globex", "acme")[place % 2]
        issued = await there.get(CHANGE_ORGANISATION, issued.token.value.reveal(), organisation=slug)
        assert issued.decision.scopes == ("api",)
        assert issued.decision.ends_at == last
    there.here.clock.advance(30)
    with pytest.raises(InvalidGrant) as caught:
        await there.get(CHANGE_ORGANISATION, issued.token.value.reveal(), organisation="globex")
    assert caught.value.reason is Reason.FAMILY_ENDED
    with pytest.raises(InvalidGrant) as caught:
        await there.get(REFRESH_TOKEN, issued.facts["refresh_token"].reveal())
    assert caught.value.reason is Reason.REFRESH_TOKEN_EXPIRED


async def test_change_of_organisation(there):
    """A token of one organisation gets another of one where the user is a member, and stays good itself."""
    old = (await token_of(there, USER_KEY)).reveal()
    issued = await there.get(CHANGE_ORGANISATION, old, organisation_alias=there.globex.api_key)
    assert (await there.call(issued.token.value)).organisation_id == there.globex.id
    assert (await there.call(Secret(old))).organisation_id == there.acme.id
    renewed = await there.get(REFRESH_TOKEN, issued.facts["refresh_token"].reveal())
    assert renewed.facts["organisation.slug"] == "globex"


async def test_change_is_refused(there):
    """TN-02: others' organisation, one that is not there and an ended membership are the same refusal."""
    old = (await token_of(there, USER_KEY)).reveal()
    await there.here.replace(there.memberships[1], disabled=True)
    for alias in (there.globex.id, "nowhere", None):
        with pytest.raises(InvalidGrant):
            await there.get(CHANGE_ORGANISATION, old, organisation_alias=alias)
    for secret in ("a.b.c", there.secrets["user_key"]):
        with pytest.raises(InvalidToken):
            await there.get(CHANGE_ORGANISATION, secret, organisation_alias=there.globex.id)


async def test_change_stays_where_the_token_is_of(there):
    """TN-01: a token presented for another organisation than its own is not good for that call."""
    old = (await token_of(there, USER_KEY)).reveal()
    wanted = {"organisation_alias": there.globex.id}
    for alias in (there.globex.id, "nowhere"):
        with pytest.raises(InsufficientScope):
            await there.get(CHANGE_ORGANISATION, old, bearer_alias=alias, **wanted)
    await there.get(CHANGE_ORGANISATION, old, bearer_alias=there.acme.id, **wanted)


async def test_api_token_stays_in_its_organisation(there):
    """TN-03: an API token is good in one organisation, and so is every token that comes from it."""
    old = (await token_of(there, API_TOKEN)).reveal()
    with pytest.raises(InvalidGrant):
        await there.get(CHANGE_ORGANISATION, old, organisation_alias=there.acme.id)


async def test_limits_of_a_user():
    """RL-01: a user's calls and exchanges are counted together, and nobody else's with them."""
    async with scene(rates={"user": Rate(per_minute=3, burst=3)}) as there:
        token = await token_of(there)
        await there.call(token)
        await there.call(token)
        assert await refused(there, token, SlowDown) is Reason.RATE_LIMIT
        await there.get(ENTITY_SECRET)


async def test_nothing_is_issued_for_what_has_just_ended(there):
    """RE-02: a membership that ends between its check and the recording loses the exchange."""

    class Hasty:
        def __init__(self, recorder):
            self.recorder = recorder
            self.done = False

        async def record(self, unit):
            if not self.done:
                self.done = True
                await there.here.replace(there.memberships[0], disabled=True, epoch=1)
            return await self.recorder.record(unit)

    there.services = msgspec.structs.replace(there.services, recorder=Hasty(there.services.recorder))
    with pytest.raises(InvalidGrant) as caught:
        await there.get(PASSWORD)
    assert caught.value.reason is Reason.MEMBERSHIP_DISABLED
    assert await there.here.audit("token.issued") == []
