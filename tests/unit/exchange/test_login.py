"""Exchanges of users and entities: one answer, one amount of work and one state for every road."""

import datetime as dt

import msgspec
import pytest

from keyturn.core.errors import (
    Conflict,
    InvalidClient,
    InvalidGrant,
    InvalidPasscode,
    InvalidRequest,
    InvalidToken,
    NotFound,
    PasscodeRequired,
    SlowDown,
    UnauthorizedClient,
)
from keyturn.core.life import Life, State
from keyturn.core.requests import PresentedCredential
from keyturn.core.secret import Secret
from keyturn.core.totp import passcode, step_at
from keyturn.core.vocabulary import (
    API_TOKEN,
    ENTITY_SECRET,
    PASSWORD,
    REFRESH_TOKEN,
    USER_KEY,
    CredentialKind,
    OwnerName,
    Reason,
)
from keyturn.tokens.inspection import look_at
from keyturn.tokens.own import decode_own_claim
from unit.exchange.people import ID_PROFILE, SEED, scene

DAY = dt.timedelta(days=1)


@pytest.fixture
async def there():
    """Ada, her credentials and an entity."""
    async with scene() as made:
        yield made


def claims(issued):
    """Decode what a token says."""
    return look_at(issued.token.value).claims


def public(refusal):
    """Give all of a refusal that a caller could see."""
    return refusal.code, refusal.description, refusal.issues, refusal.tail


async def refused(there, *args, kind=InvalidGrant, **options):
    """Ask for what must be refused, and give the refusal."""
    with pytest.raises(kind) as caught:
        await there.get(*args, **options)
    return caught.value


@pytest.mark.parametrize(
    ("grant_type", "organisation", "epochs"),
    [(PASSWORD, "acme", 4), (USER_KEY, "acme", 4), (API_TOKEN, "globex", 4), (ENTITY_SECRET, "acme", 3)],
)
async def test_each_road(there, grant_type, organisation, epochs):
    """A user's and an entity's credential becomes a token that says who they are and what it rests on."""
    issued = await there.get(grant_type)
    said = claims(issued)
    own = decode_own_claim(said["kt"])
    subject = there.party.subject if grant_type == ENTITY_SECRET else there.ada.id
    assert (said["sub"], own.organisation_id) == (subject, getattr(there, organisation).id)
    assert len(own.epochs) == epochs
    assert own.client_id is None
    assert said["roles"] == ([] if grant_type == ENTITY_SECRET else ["viewer"])
    (row,) = await there.here.audit("token.issued")
    owner = "entity:PARTY-1" if grant_type == ENTITY_SECRET else "user:ada"
    assert (row.actor, row.details["grant"]) == (owner, grant_type)


async def test_what_is_wrong_with_a_password_looks_and_costs_the_same(there):
    """PW-04: unknown, wrong, disabled and of an unknown organisation are one answer for one check."""
    seen = []
    for options in (
        {"secret": "wrong"},
        {"owner": "nobody"},
        {"owner": "\u200bada"},
        {"organisation": "nowhere"},
        {"organisation": "globex"},
    ):
        there.passwords.checked.clear()
        refusal = await refused(there, PASSWORD, address="192.0.2.9", **options)
        seen.append((public(refusal), len(there.passwords.checked)))
    await there.here.replace(there.ada, disabled=True)
    there.passwords.checked.clear()
    refusal = await refused(there, PASSWORD)
    seen.append((public(refusal), len(there.passwords.checked)))
    assert refusal.reason is Reason.USER_DISABLED
    assert set(seen) == {((InvalidGrant.code, None, (), None), 1)}


async def test_unproved_address(there):
    """A user comes in by an e-mail address once it is proved to be theirs, and by the user name meanwhile."""
    await there.here.replace(there.ada, email_verified_at=None)
    assert (await refused(there, USER_KEY)).reason is Reason.EMAIL_UNPROVED
    assert await there.get(PASSWORD)


async def test_state_is_asked_on_every_road(there):
    """TE-10: a disabled membership, user or organisation, home included, closes every road to a token."""
    await there.here.replace(there.memberships[0], disabled=True)
    assert (await refused(there, PASSWORD)).reason is Reason.MEMBERSHIP_DISABLED
    assert claims(await there.get(USER_KEY))["kt"]["o"] == there.globex.id
    await there.here.replace(there.acme, disabled=True)
    for grant_type in (USER_KEY, API_TOKEN, ENTITY_SECRET):
        assert (await refused(there, grant_type)).reason is Reason.ORGANISATION_ENDED


async def test_organisation_of_the_token(there):
    """TN-01: the organisation is the named one, the last one or the oldest, and naming two finds none."""
    assert claims(await there.get(USER_KEY))["kt"]["o"] == there.acme.id
    for alias in (there.globex.id, there.globex.api_key):
        assert claims(await there.get(USER_KEY, organisation_alias=alias))["kt"]["o"] == there.globex.id
    assert (await there.user()).last_organisation_id == there.globex.id
    assert claims(await there.get(USER_KEY))["kt"]["o"] == there.globex.id
    for options in (
        {"organisation_alias": "nowhere"},
        {"organisation_alias": there.globex.id, "organisation": "acme"},
    ):
        assert (await refused(there, USER_KEY, **options)).reason is Reason.UNKNOWN_ORGANISATION
    assert await refused(there, API_TOKEN, organisation_alias=there.acme.id)


async def test_lockout_counts_every_spelling_and_road(there):
    """PW-05: attempts are counted before the check, by whatever name they come; locked means not checked."""
    for name in ("ada", "ADA", " Ada ", "\uff41\uff44\uff41", "Ada"):
        await refused(there, PASSWORD, secret="wrong", owner=name)
    checked = len(there.passwords.checked)
    by_mail = PresentedCredential(
        kind=CredentialKind.PASSWORD,
        secret=Secret("right horse"),
        owner="ada@acme.example",
        named=OwnerName.EMAIL,
    )
    for options in ({}, {"credential": by_mail, "client": by_mail}):
        assert (await refused(there, PASSWORD, kind=SlowDown, **options)).reason is Reason.LOCKED_OUT
    assert len(there.passwords.checked) == checked


async def test_lockout_of_names_that_nobody_has(there):
    """PW-04: an unknown name is locked like a known one."""
    for _ in range(5):
        await refused(there, PASSWORD, secret="wrong", owner="nobody")
    refusal = await refused(there, PASSWORD, owner="nobody", kind=SlowDown)
    assert refusal.retry_after >= 1


async def test_success_clears_the_count(there):
    """PW-05: a right password clears the count of failures."""
    for _ in range(3):
        for _ in range(4):
            await refused(there, PASSWORD, secret="wrong")
        await there.get(PASSWORD)


async def test_machine_secrets_have_no_lockout(there):
    """PW-05: guesses at a user key are not counted, and none of them costs a slow hash."""
    for _ in range(60):
        assert (await refused(there, USER_KEY, secret="wrong")).reason is Reason.WRONG_SECRET
    await there.get(USER_KEY)
    assert there.passwords.checked == []


async def test_an_outdated_hash_is_made_again(there):
    """PW-02: a right password under older settings is kept under today's, and no token dies of it."""
    old = await there.credential("password")
    await there.here.replace(old, verifier="old:right horse")
    issued = await there.get(PASSWORD)
    kept = await there.credential("password")
    assert (kept.verifier, kept.epoch) == ("new:right horse", old.epoch)
    await there.call(issued.token.value)


async def test_second_factor_is_not_skipped(there):
    """PW-07: who must use a second factor has no way in by a route without a place for one."""
    await there.here.replace(there.ada, mfa_required=True)
    for grant_type in (PASSWORD, USER_KEY):
        refusal = await refused(there, grant_type)
        assert refusal.reason is Reason.PASSCODE_IMPOSSIBLE
        assert public(refusal) == public(await refused(there, grant_type, secret="wrong"))
    await refused(there, API_TOKEN, kind=PasscodeRequired)


async def test_a_short_password_is_not_enough(there):
    """PW-07: a password that was accepted as one of two factors stays one of two."""
    await there.here.replace(await there.credential("password"), mfa=True)
    assert (await refused(there, PASSWORD)).reason is Reason.PASSCODE_IMPOSSIBLE
    await there.get(PASSWORD, passcode=code(there))


def code(there, steps=0):
    """Give what Ada's device shows."""
    return Secret(passcode(SEED, step_at(there.here.clock.now()) + steps))


async def test_passcode(there):
    """PW-06: a step is accepted once and ends all before it, whoever asks and whatever the session."""
    await there.here.replace(await there.credential("api_token"), mfa=True)
    await refused(there, API_TOKEN, kind=PasscodeRequired)
    first = await there.get(API_TOKEN, passcode=code(there))
    assert first.decision.proof.credential.mfa
    for steps in (0, -1):
        refusal = await refused(there, API_TOKEN, passcode=code(there, steps), kind=InvalidPasscode)
        assert refusal.reason is Reason.PASSCODE_REPLAYED
    await there.get(API_TOKEN, passcode=code(there, 1))
    wrong = await refused(there, API_TOKEN, passcode=Secret("000000"), kind=InvalidPasscode)
    assert wrong.reason is Reason.PASSCODE_WRONG


async def test_passcodes_beside_a_name_are_counted(there):
    """PW-06: passcodes beside a user key are counted like passwords, those beside unknown names too."""
    await there.here.replace(there.ada, mfa_required=True)
    for owner, kind in ((None, InvalidPasscode), ("nobody@acme.example", InvalidGrant)):
        for _ in range(5):
            await refused(there, USER_KEY, owner=owner, passcode=Secret("000000"), kind=kind)
        refusal = await refused(there, USER_KEY, owner=owner, passcode=code(there), kind=SlowDown)
        assert refusal.reason is Reason.LOCKED_OUT


async def test_locked_out_costs_the_same(there):
    """TE-09: a locked name that somebody has costs the read that one which nobody has costs."""
    calls = there.here.store.registry.calls
    for _ in range(6):
        with pytest.raises((InvalidGrant, SlowDown)):
            await there.get(PASSWORD, secret="wrong")
    calls.clear()
    await refused(there, PASSWORD, kind=SlowDown)
    assert [name for name, _ in calls if name.startswith("find_user")] == ["find_user_at_home", "find_user"]


async def test_passcodes_are_locked_by_user(there):
    """PW-06: wrong passcodes are counted by user, and with the wrong passwords."""
    await there.here.replace(await there.credential("api_token"), mfa=True)
    for _ in range(5):
        await refused(there, API_TOKEN, passcode=Secret("abc"), kind=InvalidPasscode)
    await refused(there, API_TOKEN, passcode=code(there), kind=SlowDown)
    await refused(there, PASSWORD, kind=SlowDown)


async def test_a_password_does_not_forgive_passcodes(there):
    """PW-06: whoever knows the password clears the count of passwords with it, and not that of passcodes."""
    await there.here.replace(await there.credential("api_token"), mfa=True)
    for _ in range(5):
        await refused(there, API_TOKEN, passcode=Secret("000000"), kind=InvalidPasscode)
        await there.get(PASSWORD)
    await refused(there, API_TOKEN, passcode=code(there), kind=SlowDown)
    there.here.clock.advance(1)
    await there.get(API_TOKEN, passcode=code(there))
    await refused(there, API_TOKEN, passcode=Secret("000000"), kind=InvalidPasscode)


async def test_recovery_code(there):
    """PW-06: a recovery code stands for a passcode once."""
    await there.here.replace(await there.credential("api_token"), mfa=True)
    recovery = Secret(there.secrets["recovery_code"])
    await there.get(API_TOKEN, passcode=recovery)
    await refused(there, API_TOKEN, passcode=recovery, kind=InvalidPasscode)


async def test_a_passcode_nobody_asked_for(there):
    """A passcode beside a token that needs none is ignored."""
    await there.get(API_TOKEN, passcode=Secret("whatever"))


async def test_grace(there):
    """An entity's secret in its grace is good and carries a notice; a second after, it is not."""
    now = there.here.clock.now()
    life = Life(created_at=now, expires_at=now + DAY, grace_until=now + 2 * DAY)
    await there.here.replace(await there.credential("entity_secret"), life=life)
    assert (await there.get(ENTITY_SECRET)).decision.proof.notices == ()
    there.here.clock.advance(DAY.total_seconds())
    assert (await there.get(ENTITY_SECRET)).decision.proof.notices == ("grace",)
    there.here.clock.advance(DAY.total_seconds())
    assert (await refused(there, ENTITY_SECRET)).reason is Reason.SECRET_EXPIRED


async def test_a_reset_leaves_tokens_alone(there):
    """A token of an entity outlives the reset of its secret, and dies when the secret's epoch is raised."""
    token = (await there.get(ENTITY_SECRET)).token.value
    ended = await there.here.replace(
        await there.credential("entity_secret"),
        life=Life(created_at=there.here.clock.now(), state=State.ENDED),
    )
    assert (await there.call(token)).name == "entity:PARTY-1"
    await there.here.replace(ended, epoch=1)
    with pytest.raises(InvalidToken):
        await there.call(token)


async def test_tail(there):
    """Only a token that is worth nothing shows its last characters; a live or foreign secret never does."""
    ended = there.secrets["api_token"]
    live = await refused(there, API_TOKEN, secret=there.secrets["user_key"])
    assert live.tail is None
    stray = (await there.get(PASSWORD)).token.value.reveal()
    assert (await refused(there, API_TOKEN, secret=stray)).tail is None
    assert (await refused(there, API_TOKEN, secret="short")).tail is None
    assert (await refused(there, API_TOKEN, secret="x" * 65)).tail == "xxxxx"
    kept = await there.credential("api_token")
    await there.here.replace(kept, life=msgspec.structs.replace(kept.life, disabled=True))
    assert (await refused(there, API_TOKEN)).tail is None
    kept = await there.credential("api_token")
    await there.here.replace(kept, life=kept.life.ended(there.here.clock.now(), "revoked"))
    assert (await refused(there, API_TOKEN)).tail == ended[-5:]


async def test_deleted_organisation(there):
    """An API token whose organisation was deleted is told so, and nobody else is."""
    await there.here.replace(there.globex, ended_at=there.here.clock.now())
    await refused(there, API_TOKEN, kind=NotFound)
    await refused(there, API_TOKEN, secret="x" * 65)


async def test_regenerated_meanwhile(there):
    """A token that ends while its exchange runs is a conflict, and nothing is issued."""
    kept = await there.credential("api_token")

    class Hasty:
        def __init__(self, recorder):
            self.recorder = recorder

        async def record(self, unit):
            if (await there.credential("api_token")).version == kept.version:
                life = kept.life.ended(there.here.clock.now(), "regenerated")
                await there.here.replace(kept, life=life, epoch=1)
            return await self.recorder.record(unit)

    there.services = msgspec.structs.replace(there.services, recorder=Hasty(there.services.recorder))
    await refused(there, API_TOKEN, kind=Conflict)
    assert await there.here.audit("token.issued") == []


async def test_audiences_by_scope(there):
    """A contract without clients says by scope what its tokens are for."""
    assert claims(await there.get(PASSWORD, scopes=("api",)))["aud"] == "urn:toy"
    assert claims(await there.get(PASSWORD, scopes=("api", "admin")))["aud"] == ["urn:toy", "urn:admin"]


async def test_other_client(there):
    """A contract's one client is known by its exact name, and has no secret."""
    for owner, kind in (
        ("TOY_OWNER", CredentialKind.NONE),
        ("other", CredentialKind.NONE),
        ("toy_owner", CredentialKind.CLIENT_SECRET),
    ):
        client = PresentedCredential(kind=kind, secret=Secret("x"), owner=owner)
        await refused(there, PASSWORD, client=client, kind=InvalidClient)
    assert there.passwords.checked == []


async def test_password_grant_of_clients(there):
    """TE-07: a client of ours exchanges passwords only by leave, and a grant that is off checks none."""
    client, secret = await there.here.add_client(
        "acme", dialects=("oauth2",), grants=("client_credentials",), scopes=("api",)
    )
    client = await there.here.client(client.id)
    client = await there.here.replace(client, grants=(PASSWORD, REFRESH_TOKEN), dialects=("toy",))
    (held,) = await there.here.secrets(client.id)
    await there.here.replace(held, dialects=("toy",))
    shown = PresentedCredential(kind=CredentialKind.CLIENT_SECRET, secret=Secret(secret), owner=client.id)
    asked = {"client": shown, "client_table": None}
    await refused(there, PASSWORD, kind=UnauthorizedClient, **asked)
    assert there.passwords.checked == []
    await there.here.replace(there.acme, settings={"toy": {"password_grant": True}})
    own = decode_own_claim(claims(await there.get(PASSWORD, **asked))["kt"])
    assert (own.client_id, len(own.epochs)) == (client.id, 5)


async def test_deprecated_forms_can_be_off(there):
    """An organisation that switched deprecated forms off gets none, and the refusal spends nothing."""
    await there.here.replace(there.acme, settings={"toy": {"deprecated_forms": False}})
    origin = msgspec.structs.replace(there.request(PASSWORD).origin, deprecated=("old_name",))
    await refused(there, PASSWORD, origin=origin, kind=InvalidRequest)
    await there.get(PASSWORD)


async def test_deprecated_password_that_is_off(there):
    """PW-04: where passwords are a deprecated form that is off, a right one is answered like a wrong one."""
    origin = msgspec.structs.replace(there.request(PASSWORD).origin, deprecated=(PASSWORD,))
    await there.get(PASSWORD, origin=origin)
    await there.here.replace(there.acme, settings={"toy": {"deprecated_forms": False}})
    right = await refused(there, PASSWORD, origin=origin)
    assert right.reason is Reason.GRANT_NOT_ALLOWED
    assert public(await refused(there, PASSWORD, "wrong", origin=origin)) == public(right)


async def test_id_token(there):
    """TK-08: the ID token is for the client, of its own kind, and no access token anywhere."""
    issued = await there.get(USER_KEY, scopes=("openid",), id_profile=ID_PROFILE)
    token = issued.facts["id_token"]
    said = look_at(token).claims
    assert (said["aud"], said["sub"], said["kt"]["k"]) == ("toy_owner", there.ada.id, "toy.id")
    with pytest.raises(InvalidToken):
        await there.call(token)
    without = await there.get(USER_KEY, scopes=("api",), id_profile=ID_PROFILE)
    assert without.facts["id_token"] is None
