"""Passwords: long, normal, not everybody's first try, and the end of what was before."""

import pytest

from keyturn.core.actors import operator
from keyturn.core.errors import OperatorError
from keyturn.core.life import State
from keyturn.core.secret import Secret
from keyturn.core.vocabulary import CredentialKind
from keyturn.directory.passwords import set_password
from keyturn.directory.users import change_user

ALICE = operator("alice")
GOOD = "violet anchors drift"


async def put(deployment, inside, user, text):
    """Set a password."""
    return await set_password(
        ALICE,
        inside,
        user.id,
        Secret(text),
        dialects=("oauth2",),
        passwords=deployment.passwords,
        **deployment.at,
    )


@pytest.mark.parametrize(
    "text",
    [
        "fourteen chars",
        "passwordpassword",
        "bartholomew-acme",
        "bartholomew keyturn",
        "x" * 257,
        "abcdefghijklmnopqrst",
    ],
)
async def test_refused(deployment, text):
    """PW-01: too short, too long, common or made of its context is refused, and the words repeat nothing."""
    _, inside = await deployment.organisation()
    user = await deployment.user(inside, "bartholomew")
    with pytest.raises(OperatorError) as caught:
        await put(deployment, inside, user, text)
    assert text not in str(caught.value)
    assert not await inside.credentials_of(user.id, CredentialKind.PASSWORD)


async def test_kept_whole(deployment):
    """PW-01, PW-02: 256 characters of any kind are kept whole, spaces at the ends too, in normal form."""
    _, inside = await deployment.organisation()
    user = await deployment.user(inside)
    text = " e\u0301" + "".join(chr(0x4E00 + 7 * number) for number in range(252)) + " "
    made = await put(deployment, inside, user, text)
    assert made.verifier == "plain: \u00e9" + text[3:]


async def test_changed(deployment):
    """RV-04: another password ends the one before and raises the user's epoch, so that every token dies."""
    _, inside = await deployment.organisation()
    user = await deployment.user(inside)
    first = await put(deployment, inside, user, GOOD)
    second = await put(deployment, inside, user, GOOD + " again")
    old = await inside.credential(first.id)
    assert (old.life.state, old.life.ended_why, old.epoch) == (State.ENDED, "password changed", 1)
    assert (await inside.credential(second.id)).life.state is State.ACTIVE
    assert (await inside.user(user.id)).epoch == 2
    assert GOOD not in repr(await deployment.store.audit_rows())


async def test_second_factor(deployment):
    """PW-01, PW-07: eight characters are enough beside a second factor, which then cannot be taken away."""
    _, inside = await deployment.organisation()
    user = await deployment.user(inside, mfa_required=True)
    with pytest.raises(OperatorError, match="8 characters"):
        await put(deployment, inside, user, "7 chars")
    assert (await put(deployment, inside, user, "mxqwertz")).mfa
    with pytest.raises(OperatorError, match="set a longer one first"):
        await change_user(ALICE, inside, user.id, {"mfa_required": False}, **deployment.at)
    assert not (await put(deployment, inside, user, GOOD)).mfa
    await change_user(ALICE, inside, user.id, {"mfa_required": False}, **deployment.at)
