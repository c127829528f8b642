"""Known holders: what was proved before is not proved again, until anything of it has changed."""

from datetime import timedelta

import msgspec
import pytest

from harness import deployment
from keyturn.core.changes import Replace
from keyturn.core.errors import InvalidGrant, PasscodeRequired
from keyturn.core.vocabulary import API_TOKEN, PASSWORD, REFRESH_TOKEN, USER_KEY, CredentialKind, Reason
from keyturn.exchange.known import KNOWN_KEPT, KnownHolders, shown_words
from keyturn.exchange.terms import KnownTerms
from keyturn.storage.registry import CachedRegistry
from unit.exchange.people import Scene


@pytest.fixture
async def scene():
    """Give a scene whose memory follows the store's feed, as on disk."""
    async with deployment() as here:
        made = Scene(here)
        await made.furnish()
        registry = CachedRegistry(here.store._shelf, here.store.feed)
        made.services = msgspec.structs.replace(
            made.services, registry=registry, holders=KnownHolders(), terms=KnownTerms()
        )
        yield made


async def proved(scene, **changes):
    """Say whether memory knows what a request for a token proves."""
    asked = scene.request(API_TOKEN, **changes)
    now = scene.here.clock.now()
    holders, registry = scene.services.holders, scene.services.registry
    return await holders.recall(shown_words(asked), registry, now) is not None


async def change(scene, record, **fields):
    """Replace a record, as an operator does."""
    changed = msgspec.structs.replace(record, version=record.version + 1, **fields)
    await scene.here.change(Replace(changed, record.version))


async def test_the_second_exchange_is_as_the_first(scene):
    """TE-10: what is recalled is what was proved, down to the claims' facts."""
    assert not await proved(scene)
    first = await scene.get(API_TOKEN)
    assert not await proved(scene), "the day of the first use is a change"
    second, third = await scene.get(API_TOKEN), await scene.get(API_TOKEN)
    assert await proved(scene)
    assert third.decision.proof == second.decision.proof
    assert third.decision.proof.credential.id == first.decision.proof.credential.id
    assert third.token.id != second.token.id


async def test_what_changed_is_proved_anew(scene):
    """RV-04, TE-10: a credential, a user, a membership or an organisation that ended is found out at once."""
    organisation = scene.globex
    held = await scene.credential("api_token")
    endings = (
        (held, {"life": held.life.ended(scene.here.clock.now(), "revoked")}, Reason.SECRET_ENDED),
        (scene.memberships[1], {"disabled": True}, Reason.MEMBERSHIP_DISABLED),
        (scene.ada, {"disabled": True}, Reason.USER_DISABLED),
        (organisation, {"disabled": True}, Reason.ORGANISATION_ENDED),
    )
    for record, fields, reason in endings:
        for _ in range(2):
            await scene.get(API_TOKEN)
        assert await proved(scene)
        now = await read(scene, record)
        await change(scene, now, **fields)
        with pytest.raises(InvalidGrant) as refused:
            await scene.get(API_TOKEN)
        assert refused.value.reason is reason
        undone = {name: getattr(now, name) for name in fields}
        await change(scene, await read(scene, record), **undone)


async def read(scene, record):
    """Read a record as it is now."""
    view = await scene.services.registry.find_user(scene.ada.id)
    known = (view.user, view.home, *view.organisations, *view.memberships, *view.credentials)
    return next(each for each in known if each.id == record.id)


async def test_time_is_looked_at_each_time(scene):
    """TE-10: a token that expires while it is known is refused as any other."""
    await scene.get(API_TOKEN)
    held = await read(scene, await scene.credential("api_token"))
    ends = scene.here.clock.now() + timedelta(minutes=5)
    await change(scene, held, life=msgspec.structs.replace(held.life, expires_at=ends))
    for _ in range(2):
        await scene.get(API_TOKEN)
    assert await proved(scene)
    scene.here.clock.advance(301)
    scene.here.store.feed.confirm(scene.here.clock.monotonic())
    with pytest.raises(InvalidGrant) as refused:
        await scene.get(API_TOKEN)
    assert refused.value.reason is Reason.SECRET_EXPIRED


async def test_a_second_factor_is_asked_for_each_time(scene):
    """PW-07: what needs a passcode is never known without one."""
    await scene.add(CredentialKind.API_TOKEN, "careful", organisation_id=scene.globex.id, mfa=True)
    for _ in range(2):
        with pytest.raises(PasscodeRequired):
            await scene.get(API_TOKEN, scene.secrets["careful"])
    await scene.get(API_TOKEN)
    await scene.get(API_TOKEN)
    await change(scene, await read(scene, scene.ada), mfa_required=True)
    with pytest.raises(PasscodeRequired):
        await scene.get(API_TOKEN)


async def test_more_than_a_secret_is_not_known(scene):
    """TN-01: a request that names an organisation or brings a passcode is read to its end."""
    await scene.get(API_TOKEN)
    await scene.get(API_TOKEN)
    assert not await proved(scene, organisation="acme")
    assert not await proved(scene, organisation_alias=scene.acme.id)
    assert not await proved(scene, client_table=None)
    with pytest.raises(InvalidGrant):
        await scene.get(API_TOKEN, organisation="acme")
    assert shown_words(scene.request(PASSWORD)) is None


async def test_a_renewal_rests_on_the_same(scene):
    """TE-10, RV-04: a family of a user is renewed from memory, and dies with what it rests on at once."""
    issued = await scene.get(USER_KEY)
    issued = await scene.get(USER_KEY)
    token = issued.facts["refresh_token"].reveal()
    for _ in range(3):
        renewed = await scene.get(REFRESH_TOKEN, token)
        token = renewed.facts["refresh_token"].reveal()
    assert len(scene.services.holders._kept) == 2
    with pytest.raises(InvalidGrant) as refused:
        await scene.get(REFRESH_TOKEN, token, organisation="globex")
    assert refused.value.reason is Reason.OTHER_ORGANISATION
    held = await read(scene, await scene.credential("user_key"))
    await change(scene, held, epoch=held.epoch + 1)
    with pytest.raises(InvalidGrant) as refused:
        await scene.get(REFRESH_TOKEN, token)
    assert refused.value.reason is Reason.FAMILY_OUTDATED


async def test_what_is_known_is_bounded(scene):
    """RE-10: only so many are kept, the newest."""
    await scene.get(API_TOKEN)
    kept = scene.services.holders._kept
    kept.update(((number,), None) for number in range(KNOWN_KEPT - len(kept)))
    await scene.get(API_TOKEN)
    await scene.add(CredentialKind.API_TOKEN, "another", organisation_id=scene.globex.id)
    await scene.get(API_TOKEN, scene.secrets["another"])
    assert len(kept) == KNOWN_KEPT
