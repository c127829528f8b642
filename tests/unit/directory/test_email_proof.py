"""The proof of an e-mail address: one code, one address, one use, one day."""

from datetime import timedelta
from functools import partial

import pytest

from keyturn.core.actors import operator
from keyturn.core.errors import OperatorError
from keyturn.core.secret import Secret
from keyturn.directory.email_proof import GOOD_FOR, confirm_email, make_email_code, user_of
from keyturn.directory.users import change_user
from keyturn.keys.peppers import Peppers

ALICE = operator("alice")


@pytest.fixture
async def place(deployment):
    """An organisation, a user with an unproved address, and short ways to make and use a code."""
    _, inside = await deployment.organisation()
    user = await deployment.user(inside, email="a@x.example")
    common = {"digester": deployment.digester, **deployment.at}
    make = partial(make_email_code, ALICE, inside, user.id, **common)
    return inside, user, make, partial(confirm_email, ALICE, inside, **common)


async def test_proved(deployment, place, now):
    """A code proves its address once, and neither code nor address is in the trail (HT-07)."""
    _, user, make, use = place
    code = await make()
    assert user_of(code) == user.id
    assert (await use(code)).email_verified_at == now
    for attempt in (use(code), make()):
        with pytest.raises(OperatorError):
            await attempt
    rows = repr(await deployment.store.audit_rows())
    assert "a@x.example" not in rows
    assert code.reveal() not in rows


async def test_used_up(deployment, place):
    """TK-11: a used code stays used, also when the address is taken off and put on again."""
    inside, user, make, use = place
    code = await make()
    await use(code)
    for email in ("b@x.example", "a@x.example"):
        await change_user(ALICE, inside, user.id, {"email": email}, **deployment.at)
    for spelling in (code, Secret(f" {code.reveal()}\n")):
        with pytest.raises(OperatorError, match="used already"):
            await use(spelling)


async def test_a_pepper_from_elsewhere(place):
    """TN-01: who has the pepper that an organisation brought along proves no address with it."""
    _, _, make, use = place
    own, brought = {"own": b"o" * 32}, {"brought": b"b" * 32}
    here, there = Peppers(own | brought, "own", bytes(32)), Peppers(brought, "brought", bytes(32))
    with pytest.raises(OperatorError, match="not good"):
        await use(await make(digester=there), digester=here)
    assert await use(await make(digester=here), digester=here)


async def test_worthless(deployment, place, now):
    """A code that is altered, too old, of another address or of nobody proves nothing."""
    inside, user, make, use = place
    code = (await make()).reveal()
    user_id, until, tag = code.split(".")
    for bad in (
        f"{user_id}.{int(until) + 1}.{tag}",
        f"{user_id}.{until}.{tag[:-1]}{'0' if tag[-1] != '0' else '1'}",
        f"nobody.{until}.{tag}",
        f"{user_id}.{until}.é",
        f"{user_id}.x.{tag}",
        "",
        "a.b",
    ):
        with pytest.raises(OperatorError):
            await use(Secret(bad))
    with pytest.raises(OperatorError, match="not good"):
        await use(Secret(code), now=now + GOOD_FOR)
    await change_user(ALICE, inside, user.id, {"email": "b@x.example"}, **deployment.at)
    with pytest.raises(OperatorError, match="not good"):
        await use(Secret(code), now=now + timedelta(seconds=1))
