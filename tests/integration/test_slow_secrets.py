"""Machines' secrets under slow hashes: checked beside passwords, kept better after their first good use."""

import asyncio
import hashlib
import json
import secrets
from urllib.parse import urlencode

import bcrypt
import msgspec
import pytest

from harness import basic, deployment
from keyturn.core.vocabulary import CredentialKind
from keyturn.exchange.slow import RATE_OF_PLACE

STRONG = secrets.token_hex(32)
WEAK = "letmein-2019"
FORM = ("content-type", "application/x-www-form-urlencoded")


class Counted:
    """Passwords that count how often a machine's secret was checked, and say when one is being checked."""

    def __init__(self, passwords):
        self._passwords = passwords
        self.checks = 0

    def __getattr__(self, name):
        return getattr(self._passwords, name)

    async def check_exactly(self, secret, verifier):
        self.checks += 1
        await asyncio.sleep(0.01)
        return await self._passwords.check_exactly(secret, verifier)


@pytest.fixture
async def here():
    """A deployment that counts slow checks."""
    async with deployment() as opened:
        counted = Counted(opened.local.passwords)
        services = opened.desk._services
        opened.desk._services = msgspec.structs.replace(services, passwords=counted)
        opened.counted = counted
        yield opened


async def slow_client(here, text, **wish):
    """Make a client whose one secret is under bcrypt."""
    client, _ = await here.add_client(scopes=("read",), **wish)
    for each in await here.secrets(client.id):
        await here.replace(each, life=each.life.ended(here.clock.now(), "test"))
    held = await here.import_secret(
        client.id,
        text,
        verifier=bcrypt.hashpw(text.encode(), bcrypt.gensalt(4)).decode(),
        lookup_hash=hashlib.sha256(client.id.encode()).digest(),
        pepper_id="",
    )
    return client.id, held.id


async def token(here, client_id, secret, address="192.0.2.1"):
    """Ask for a token."""
    return await here.ask(
        "POST",
        "/o/acme/oauth2/token",
        headers=[("authorization", basic(client_id, secret)), FORM],
        body=b"grant_type=client_credentials",
        address=address,
    )


async def kept(here, client_id, credential_id):
    """Read a credential as it is now."""
    return next(each for each in await here.secrets(client_id) if each.id == credential_id)


async def test_upgraded_at_first_use(here):
    """TK-12: a right secret of 256 bits is kept like one of ours from its first use on."""
    client_id, held = await slow_client(here, STRONG)
    wrong = await token(here, client_id, STRONG + "x")
    unknown = await token(here, "nobody", STRONG)
    assert wrong.status == 401
    assert wrong.seen() == unknown.seen()
    assert (await kept(here, client_id, held)).verifier is not None
    assert (await token(here, client_id, STRONG)).status == 200
    now = await kept(here, client_id, held)
    digest = hashlib.sha256(STRONG.encode()).digest()
    assert now.verifier is None
    assert now.lookup_hash == here.local.digester.lookup_hash(digest, now.pepper_id)
    checks = here.counted.checks
    assert (await token(here, client_id, STRONG)).status == 200
    assert (await token(here, client_id, "wrong")).status == 401
    assert here.counted.checks == checks


async def test_a_weak_one_stays_slow(here):
    """TK-12: what is easily guessed is kept under argon2id, and a process asks for one check of it only."""
    client_id, held = await slow_client(here, WEAK)
    for _ in range(3):
        assert (await token(here, client_id, WEAK)).status == 200
    now = await kept(here, client_id, held)
    assert now.verifier.startswith("sha256:$argon2id$")
    assert here.counted.checks == 2  # the old hash, and once the new one
    await here.replace(now, life=now.life.ended(here.clock.now(), "test"))
    assert (await token(here, client_id, WEAK)).status == 401


async def test_a_fleet_waits_for_one_check(here):
    """RE-10: the same secret shown by many at once is checked once, and all of them get their token."""
    client_id, _ = await slow_client(here, STRONG)
    answers = await asyncio.gather(*(token(here, client_id, STRONG) for _ in range(60)))
    assert {answer.status for answer in answers} == {200}
    assert here.counted.checks == 1


async def test_strangers_are_bounded(here):
    """PW-02, TN-04: wrong secrets from one address are checked a few times; another address goes on."""
    client_id, _ = await slow_client(here, STRONG)
    answers = [await token(here, client_id, f"wrong-{n}") for n in range(RATE_OF_PLACE.burst + 5)]
    assert here.counted.checks == RATE_OF_PLACE.burst
    assert answers[-1].status == 429
    assert int(answers[-1].header("retry-after")) >= 1
    assert (await token(here, client_id, STRONG, address="198.51.100.7")).status == 200


async def test_at_once_they_are_bounded_too(here):
    """RE-10: of many different secrets at once few are checked, and the others are refused for now."""
    client_id, _ = await slow_client(here, STRONG)
    answers = await asyncio.gather(*(token(here, client_id, f"wrong-{n}") for n in range(8)))
    assert sorted(answer.status for answer in answers) == [401] * 4 + [503] * 4


async def test_questions_upgrade_too(here):
    """RV-03: a revocation is recorded although its asker's secret is kept better in the same unit."""
    client_id, held = await slow_client(here, STRONG, rights=("introspect",))
    issued = (await token(here, client_id, STRONG)).json["access_token"]
    other, _ = await slow_client(here, STRONG, rights=("introspect",))
    asked = {"headers": [("authorization", basic(other, STRONG)), FORM], "body": f"token={issued}".encode()}
    assert (await here.ask("POST", "/o/acme/oauth2/introspect", **asked)).json["active"] is True
    assert all(each.verifier is None for each in await here.secrets(other) if each.name == "imported")
    again = await here.replace(
        await kept(here, client_id, held),
        verifier=bcrypt.hashpw(STRONG.encode(), bcrypt.gensalt(4)).decode(),
        lookup_hash=b"",
    )
    asked["headers"] = [("authorization", basic(client_id, STRONG)), FORM]
    assert (await here.ask("POST", "/o/acme/oauth2/revoke", **asked)).status == 200
    assert (await kept(here, client_id, again.id)).verifier is None
    asked["headers"] = [("authorization", basic(other, STRONG)), FORM]
    assert (await here.ask("POST", "/o/acme/oauth2/introspect", **asked)).json == {"active": False}


async def test_a_fast_secret_beside_it_costs_nothing(here):
    """RE-10: of two secrets the one under a fast hash asks for no slow check."""
    client_id, _ = await slow_client(here, STRONG)
    fast = secrets.token_hex(32)
    await here.import_secret(client_id, fast)
    assert (await token(here, client_id, fast)).status == 200
    assert here.counted.checks == 0


async def imported_before(here, owner_id, kind, text):
    """Put a secret that is there under bcrypt, as if it had been imported so."""
    inside = here.local.deployment.organisation_store((await here.organisation()).id)
    held = (await inside.credentials_of(owner_id, kind))[-1]
    verifier = bcrypt.hashpw(text.encode(), bcrypt.gensalt(4)).decode()
    await here.replace(held, verifier=verifier, lookup_hash=held.id.encode(), pepper_id="")
    return lambda: inside.credential(held.id)


async def test_a_users_key(here):
    """A user key under bcrypt is right with its owner's address, and is kept better then."""
    told = here.members["acme"]["mend"]
    user = await here.local.deployment.user_by_email(told["email"])
    again = await imported_before(here, user.id, CredentialKind.USER_KEY, told["user_key"])

    async def log_in(key, email=told["email"]):
        body = json.dumps({"email": email, "userKey": key}).encode()
        return await here.ask(
            "POST", "/api/v2.0/login", headers=[("content-type", "application/json")], body=body
        )

    assert (await log_in("wrong")).seen() == (await log_in("wrong", "nobody@example.com")).seen()
    assert (await log_in(told["user_key"])).status == 200
    assert (await again()).verifier is None
    assert (await log_in(told["user_key"])).status == 200
    assert here.counted.checks == 2


async def test_a_password(here):
    """PW-01, PW-02: a short password under bcrypt goes on, and is under argon2id from its first use on."""
    told = here.members["acme"]["checkmarx"]
    inside = here.local.deployment.organisation_store((await here.organisation()).id)
    user = await inside.user_by_name(told["username"].lower())
    again = await imported_before(here, user.id, CredentialKind.PASSWORD, "kitten")
    form = {
        "username": told["username"],
        "password": "kitten",
        "grant_type": "password",
        "scope": "sca_api",
        "client_id": "sca_resource_owner",
        "acr_values": f"Tenant:{told['tenant']}",
    }

    async def log_in(**changes):
        body = urlencode(form | changes).encode()
        return await here.ask("POST", "/identity/connect/token", headers=[FORM], body=body)

    assert (await log_in(password="kitte")).status == 400
    assert (await log_in()).status == 200
    assert (await again()).verifier.startswith("$argon2id$")
    assert (await log_in()).status == 200


async def test_a_client_that_asks_for_a_user(here):
    """A client whose secret is kept better in the unit that issues a user's token does not lose to itself."""
    told = here.members["acme"]["checkmarx"]
    home = await here.organisation()
    await here.replace(home, settings=home.settings | {"oauth2": {"password_grant": True}})
    inside = here.local.deployment.organisation_store(home.id)
    user = await inside.user_by_name(told["username"].lower())
    (password,) = await inside.credentials_of(user.id, CredentialKind.PASSWORD)
    await here.replace(password, dialects=("oauth2",))
    client_id, held = await slow_client(here, STRONG, grants=("password",))
    form = {"grant_type": "password", "username": told["username"], "password": told["password"]}
    answer = await here.ask(
        "POST",
        "/o/acme/oauth2/token",
        headers=[("authorization", basic(client_id, STRONG)), FORM],
        body=urlencode(form).encode(),
    )
    assert answer.status == 200, answer.body
    assert (await kept(here, client_id, held)).verifier is None
