"""A second factor: enrolled and confirmed, replaced, removed; recovery codes in its place."""

import hashlib

import pytest

from keyturn.core import totp
from keyturn.core.actors import operator
from keyturn.core.errors import OperatorError
from keyturn.core.life import State
from keyturn.core.secret import Secret, parse_secret
from keyturn.core.vocabulary import CredentialKind
from keyturn.directory.second_factor import (
    confirm_totp,
    enrol_totp,
    list_totp,
    remove_totp,
    renew_recovery_codes,
)

ALICE = operator("alice")


@pytest.fixture
async def place(deployment):
    """An organisation and a user of it."""
    _, inside = await deployment.organisation()
    return inside, await deployment.user(inside, email="a@x.example")


async def enrol(deployment, inside, user):
    return await enrol_totp(
        ALICE, inside, user.id, "phone", issuer="Acme", sealer=deployment.sealer, **deployment.at
    )


async def confirm(deployment, inside, user, code):
    return await confirm_totp(
        ALICE,
        inside,
        user.id,
        Secret(code),
        sealer=deployment.sealer,
        digester=deployment.digester,
        **deployment.at,
    )


def code_of(deployment, device, now):
    return totp.passcode(deployment.sealer.open("totp", device.id, device.sealed), totp.step_at(now))


async def test_enrolled(deployment, place, now):
    """PW-06: a device is pending until a code of it comes, and that code is spent with its step."""
    inside, user = place
    made = await enrol(deployment, inside, user)
    assert made.device.life.state is State.PENDING
    assert made.uri.reveal().startswith("otpauth://totp/Acme:a@x.example?secret=" + made.seed.reveal())
    assert made.seed.reveal().encode() not in made.device.sealed
    right = code_of(deployment, made.device, now)
    wrong = f"{(int(right) + 1) % 10**6:06}"
    for code in (wrong, "", "abcdef"):
        with pytest.raises(OperatorError, match="not the device's code"):
            await confirm(deployment, inside, user, code)
    device, _ = await confirm(deployment, inside, user, right)
    assert (device.life.state, device.accepted_step) == (State.ACTIVE, totp.step_at(now))
    with pytest.raises(OperatorError, match="waits to be confirmed"):
        await confirm(deployment, inside, user, right)


async def test_recovery_codes(deployment, place, now):
    """AD-04: ten codes are told once and kept as digests, and new ones end them."""
    inside, user = place
    with pytest.raises(OperatorError, match="no device"):
        await renew_recovery_codes(ALICE, inside, user.id, digester=deployment.digester, **deployment.at)
    made = await enrol(deployment, inside, user)
    _, codes = await confirm(deployment, inside, user, code_of(deployment, made.device, now))
    assert {parse_secret(code.reveal()) for code in codes} == {CredentialKind.RECOVERY_CODE}
    kept = await inside.credentials_of(user.id, CredentialKind.RECOVERY_CODE)
    digests = [b"p1" + hashlib.sha256(code.reveal().encode()).digest() for code in codes]
    assert {each.lookup_hash for each in kept} == set(digests)
    assert len(set(digests)) == 10
    fresh = await renew_recovery_codes(ALICE, inside, user.id, digester=deployment.digester, **deployment.at)
    after = await inside.credentials_of(user.id, CredentialKind.RECOVERY_CODE)
    living = {each.lookup_hash for each in after if each.life.state is State.ACTIVE}
    assert (len(after), len(living), len(fresh)) == (20, 10, 10)
    assert living.isdisjoint(digests)


async def test_replaced_and_removed(deployment, place, now):
    """Another device ends the one before only once it is confirmed, and removing ends the codes too."""
    inside, user = place
    first = await enrol(deployment, inside, user)
    await confirm(deployment, inside, user, code_of(deployment, first.device, now))
    given_up = await enrol(deployment, inside, user)
    second = await enrol(deployment, inside, user)

    async def states():
        return {each.id: each.life.state for each in await list_totp(ALICE, inside, user.id)}

    assert await states() == {
        first.device.id: State.ACTIVE,
        given_up.device.id: State.ENDED,
        second.device.id: State.PENDING,
    }
    await confirm(deployment, inside, user, code_of(deployment, second.device, now))
    assert (await states())[first.device.id] is State.ENDED
    await remove_totp(ALICE, inside, user.id, **deployment.at)
    assert set((await states()).values()) == {State.ENDED}
    codes = await inside.credentials_of(user.id, CredentialKind.RECOVERY_CODE)
    assert {each.life.state for each in codes} == {State.ENDED}
    with pytest.raises(OperatorError, match="no device"):
        await remove_totp(ALICE, inside, user.id, **deployment.at)


async def test_service_user(deployment, place):
    """A service user has no second factor."""
    inside, _ = place
    bot = await deployment.user(inside, "bot", service=True)
    with pytest.raises(OperatorError, match="no second factor"):
        await enrol(deployment, inside, bot)
