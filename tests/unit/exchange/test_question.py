"""Questions about tokens of people: introspection, revocation and the description of an API token."""

import msgspec
import pytest

from keyturn.core.errors import InvalidClient, InvalidGrant, NotFound
from keyturn.core.requests import Origin, PresentedCredential, Question
from keyturn.core.secret import Secret
from keyturn.core.vocabulary import (
    API_TOKEN,
    INTROSPECT,
    PASSWORD,
    USER_KEY,
    CredentialKind,
    RequestId,
)
from keyturn.exchange.describe import describe
from keyturn.exchange.introspect import introspect
from keyturn.exchange.revoke import revoke
from unit.exchange.people import PROFILE, scene

ORIGIN = Origin(request_id=RequestId("r"), address="192.0.2.1", dialect="oauth2", route="ask")


@pytest.fixture
async def there():
    """Ada, her credentials, and a client of each organisation that may ask."""
    async with scene() as made:
        kept = await made.credential("api_token")
        await made.here.replace(kept, dialects=("toy", ORIGIN.dialect))
        made.askers = {}
        for slug in ("acme", "globex"):
            client, secret = await made.here.add_client(slug, scopes=("api",), rights=(INTROSPECT,))
            made.askers[slug] = PresentedCredential(
                kind=CredentialKind.CLIENT_SECRET, secret=Secret(secret), owner=client.id
            )
        yield made


def about(there, token, asker="acme", accepts=(PROFILE,)):
    """Ask about a token."""
    client = None if asker is None else there.askers[asker]
    return Question(origin=ORIGIN, operation="ask", client=client, token=token, accepts=accepts)


async def test_introspection(there):
    """IN-01: a user's token and family say whose they are, to their own organisation and to no other."""
    issued = await there.get(USER_KEY)
    for token in (issued.token.value, issued.facts["refresh_token"]):
        facts = await introspect(about(there, token), there.services)
        assert (facts["active"], facts["subject"], facts["username"]) == (True, "ada", "ada")
        assert facts["organisation.id"] == there.acme.id
        other = await introspect(about(there, token, "globex"), there.services)
        assert {name for name, value in other.items() if value is not None} == {"active"}
        assert other["active"] is False


async def test_introspection_of_api_tokens(there):
    """TK-08: an API token is active only where nothing else is asked about, and there nothing else is."""
    secret, token = Secret(there.secrets["api_token"]), (await there.get(API_TOKEN)).token.value
    seen = [
        (await introspect(about(there, shown, "globex", accepts), there.services))["active"]
        for shown in (secret, token)
        for accepts in ((), (PROFILE,))
    ]
    assert seen == [True, False, False, True]
    assert not (await introspect(about(there, secret, "acme", ()), there.services))["active"]


async def test_contracts_are_kept_apart(there):
    """TK-08: what another contract made is nothing here: no living token, and nothing to revoke."""
    shown = (await there.get(USER_KEY)).facts["refresh_token"]
    other = msgspec.structs.replace(PROFILE, kind="other.access")
    assert not (await introspect(about(there, shown, accepts=(other,)), there.services))["active"]
    assert await revoke(about(there, shown, accepts=(other,)), there.services) == {}
    secret = Secret(there.secrets["api_token"])
    await there.here.replace(await there.credential("api_token"), dialects=("toy",))
    assert not (await introspect(about(there, secret, "globex", ()), there.services))["active"]
    with pytest.raises(NotFound):
        await describe(about(there, secret, None, ()), there.services)


async def test_revocation_of_a_user_token(there):
    """RV-01: a token for which no client of ours asked is no client's to revoke."""
    token = (await there.get(PASSWORD)).token.value
    with pytest.raises(InvalidGrant):
        await revoke(about(there, token), there.services)
    assert await revoke(about(there, token, "globex"), there.services) == {}
    await there.call(token)


async def test_description(there):
    """Whoever holds a living API token may ask what it is; anything else is not there."""
    facts = await describe(about(there, Secret(there.secrets["api_token"]), None, ()), there.services)
    assert (facts["user.id"], facts["organisation.id"], facts["home.slug"]) == (
        "ada",
        there.globex.id,
        "acme",
    )
    for text in ("x" * 65, there.secrets["user_key"], there.secrets["entity_secret"]):
        with pytest.raises(NotFound):
            await describe(about(there, Secret(text), None, ()), there.services)
    await there.here.replace(there.memberships[1], disabled=True)
    with pytest.raises(NotFound):
        await describe(about(there, Secret(there.secrets["api_token"]), None, ()), there.services)


async def test_description_of_what_is_switched_off(there):
    """A holder is told that an API token is switched off; introspection only says that it is not active."""
    token = Secret(there.secrets["api_token"])
    view = await there.here.local.deployment.user_view(there.ada.id)
    (held,) = (each for each in view.credentials if each.kind is CredentialKind.API_TOKEN)
    off = msgspec.structs.replace(held.life, disabled=True)
    assert (await describe(about(there, token, None, ()), there.services))["disabled"] is False
    held = await there.here.replace(held, life=off)
    assert (await describe(about(there, token, None, ()), there.services))["disabled"] is True
    assert not (await introspect(about(there, token, "globex", ()), there.services))["active"]
    expired = msgspec.structs.replace(off, expires_at=there.here.clock.now())
    await there.here.replace(held, life=expired)
    with pytest.raises(NotFound):
        await describe(about(there, token, None, ()), there.services)


async def test_questions_to_clients_only(there):
    """A question that a client must ask is refused to whoever is none."""
    with pytest.raises(InvalidClient):
        await introspect(about(there, Secret("x"), None), there.services)
