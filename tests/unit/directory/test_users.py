"""Users: made with a home, changed, switched off and on, logged out, ended with all they have anywhere."""

import asyncio

import pytest

from keyturn.core.actors import Actor, operator
from keyturn.core.errors import OperatorError
from keyturn.core.life import State
from keyturn.core.secret import Secret
from keyturn.core.vocabulary import CredentialKind, OrganisationId
from keyturn.directory.passwords import set_password
from keyturn.directory.user_keys import create_user_key
from keyturn.directory.users import (
    change_user,
    disable_user,
    enable_user,
    end_user,
    list_users,
    log_out_everywhere,
    show_user,
)

ALICE = operator("alice")


async def test_made(deployment):
    """PW-03: a name is kept in one form and found by every spelling of it, and the trail only seals it."""
    organisation, inside = await deployment.organisation()
    made = await deployment.user(inside, "  \uff21LICE ", email="Alice@Example.COM", roles=("toy:admin",))
    assert (made.name, made.email, made.display_name) == ("alice", "alice@example.com", "\uff21LICE")
    assert made.email_verified_at is None
    membership = await inside.membership_of(made.id)
    assert (membership.organisation_id, membership.roles) == (organisation.id, ("toy:admin",))
    row = (await deployment.store.audit_rows())[-1]
    assert (row.kind, row.subject, row.details) == ("user.created", made.id, {"membership": membership.id})
    for taken in ("alice", "Alice", "\uff41lice"):
        with pytest.raises(OperatorError, match="taken"):
            await deployment.user(inside, taken)
    assert await list_users(ALICE, inside) == [made]


async def test_one_name_in_two_homes(deployment):
    """PW-03: a user name is unique within its home, an e-mail address in the deployment."""
    _, acme = await deployment.organisation()
    _, globex = await deployment.organisation("globex")
    first = await deployment.user(acme, "alice", email="a@x.example")
    second = await deployment.user(globex, "alice")
    assert first.id != second.id
    with pytest.raises(OperatorError, match="taken"):
        await deployment.user(globex, "bob", email="A@x.example")
    with pytest.raises(OperatorError, match="taken"):
        await change_user(ALICE, globex, second.id, {"email": "a@X.example"}, **deployment.at)


@pytest.mark.parametrize(
    "wish",
    [
        {"name": ""},
        {"name": "a\u200bb"},
        {"email": "nobody"},
        {"email": "a@acme.service.invalid"},
        {"email_verified": True},
        {"service": True, "email": "a@x.example"},
        {"service": True, "mfa_required": True},
        {"roles": ("toy:king",)},
        {"teams": ("/Nowhere",)},
        {"given_name": "a\nb"},
    ],
)
async def test_bad_wish(deployment, wish):
    """A wish that is not acceptable makes nothing and writes nothing."""
    _, inside = await deployment.organisation()
    with pytest.raises(OperatorError):
        await deployment.user(inside, **{"name": "alice", **wish})
    assert not await inside.users()
    assert len(await deployment.events()) == 1


async def test_service_user(deployment, now):
    """A service user's address is made, needs no proof and cannot be changed, and it gets no password."""
    _, inside = await deployment.organisation()
    made = await deployment.user(inside, "Bot", service=True)
    assert (made.email, made.email_verified_at) == ("bot@acme.service.invalid", now)
    with pytest.raises(OperatorError, match="address is made"):
        await change_user(ALICE, inside, made.id, {"email": "a@x.example"}, **deployment.at)
    with pytest.raises(OperatorError, match="no password"):
        await set_password(
            ALICE,
            inside,
            made.id,
            Secret("some long enough words"),
            dialects=("oauth2",),
            passwords=deployment.passwords,
            **deployment.at,
        )


async def test_changed(deployment):
    """AD-02: what may be changed is listed, another address is unproved, and MFA demanded ends all tokens."""
    _, inside = await deployment.organisation()
    made = await deployment.user(inside, email="a@x.example", email_verified=True)
    changed = await change_user(
        ALICE, inside, made.id, {"given_name": "Al", "email": "b@x.example"}, **deployment.at
    )
    assert (changed.given_name, changed.email, changed.email_verified_at) == ("Al", "b@x.example", None)
    assert changed.epoch == made.epoch
    strict = await change_user(ALICE, inside, made.id, {"mfa_required": True}, **deployment.at)
    assert strict.epoch == made.epoch + 1
    for name in ("organisation_id", "service", "epoch", "email_verified_at", "name"):
        with pytest.raises(OperatorError, match="cannot be changed"):
            await change_user(ALICE, inside, made.id, {name: "x"}, **deployment.at)


async def test_disabled_enabled_logged_out(deployment):
    """RV-04: disabling and logging out raise the epoch, so that tokens die, and enabling revives none."""
    _, inside = await deployment.organisation()
    made = await deployment.user(inside)
    for _ in range(2):
        disabled = await disable_user(ALICE, inside, made.id, **deployment.at)
    assert (disabled.usable, disabled.epoch, disabled.version) == (False, 1, 1)
    enabled = await enable_user(ALICE, inside, made.id, **deployment.at)
    assert (enabled.usable, enabled.epoch) == (True, 1)
    out = await log_out_everywhere(ALICE, inside, made.id, **deployment.at)
    assert (out.usable, out.epoch) == (True, 2)
    kinds = [kind for kind, *_ in await deployment.events()]
    assert kinds[-3:] == ["user.disabled", "user.enabled", "user.logged_out"]


async def test_ended(deployment, now):
    """RV-04, TK-15: an ended user loses every credential and membership, everywhere, and keeps the name."""
    _, acme = await deployment.organisation()
    _, globex = await deployment.organisation("globex")
    made = await deployment.user(acme, email="a@x.example")
    await deployment.member(globex, made.id, role_names=("toy:viewer",))
    key, _ = await create_user_key(
        ALICE, acme, made.id, "k", dialects=("oauth2",), digester=deployment.digester, **deployment.at
    )
    for _ in range(2):
        ended = await end_user(ALICE, deployment.store, made.id, **deployment.at)
    assert (ended.usable, ended.ended_at, ended.epoch) == (False, now, 1)
    assert (await acme.credential(key.id)).life.state is State.ENDED
    for inside in (acme, globex):
        membership = await inside.membership_of(made.id)
        assert (membership.usable, membership.epoch, membership.roles) == (False, 1, ())
    with pytest.raises(OperatorError, match="never used again"):
        await deployment.user(acme, "ALICE")
    with pytest.raises(OperatorError, match="has ended"):
        await enable_user(ALICE, acme, made.id, **deployment.at)
    assert await acme.credentials_of(made.id, CredentialKind.USER_KEY)


async def test_another_home(deployment):
    """TN-02: an administrator of another organisation is told the same of a user as of nobody."""
    _, acme = await deployment.organisation()
    other, globex = await deployment.organisation("globex")
    made = await deployment.user(acme)
    await deployment.member(globex, made.id)
    stranger = Actor("user:admin", other.id)
    told = set()
    for store, user_id in ((acme, made.id), (globex, made.id), (acme, "nobody")):
        for verb in (show_user, disable_user, enable_user, log_out_everywhere):
            named = {} if verb is show_user else deployment.at
            with pytest.raises(OperatorError) as caught:
                await verb(stranger, store, user_id, **named)
            told.add(str(caught.value).replace(user_id, "<id>"))
    for user_id in (made.id, "nobody"):
        with pytest.raises(OperatorError) as caught:
            await end_user(stranger, deployment.store, user_id, **deployment.at)
        told.add(str(caught.value).replace(user_id, "<id>"))
    assert told == {"no user '<id>'"}
    with pytest.raises(OperatorError):
        await list_users(Actor("user:x", OrganisationId("elsewhere")), acme)
    assert await acme.user(made.id) == made


async def test_race(deployment):
    """Of two who make one user name at once, one wins, and the loss is in the trail (AD-05)."""
    _, inside = await deployment.organisation()
    outcomes = await asyncio.gather(
        *(deployment.user(inside, name) for name in ("eve", "Eve")), return_exceptions=True
    )
    assert sorted(type(each).__name__ for each in outcomes) == ["Clash", "User"]
    assert ("user.created", "invalid_request", "lost_race") in await deployment.events()
