"""An organisation moves to another deployment: its secrets work there, and nothing comes in by halves."""

import hashlib
import re
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from msgspec.structs import replace

from contract.test_store_on_disk import eventually
from ground import ACTOR
from integration.renewal import Caller
from integration.test_backup import GRANTS, serving, settings_at
from integration.test_cli import Terminal
from keyturn import transfers
from keyturn.app import open_local
from keyturn.core.errors import Clash, OperatorError
from keyturn.core.secret import Secret
from keyturn.core.vocabulary import CredentialKind
from keyturn.directory.entities import create_entity, link_user
from keyturn.directory.memberships import add_member
from keyturn.directory.second_factor import enrol_totp
from keyturn.directory.secrets import read_secret, reset_secret
from keyturn.directory.transfer import collect, settle
from keyturn.directory.user_keys import create_user_key
from keyturn.directory.users import UserWish, create_user
from keyturn.transfers import export_organisation, import_organisation, is_bundle

PHRASE = Secret("correct horse battery staple")


@pytest.fixture(autouse=True)
def cheap(monkeypatch):
    """Spend no half second on each passphrase; ``test_streams`` looks at what it costs in earnest."""
    monkeypatch.setattr("keyturn.keys.streams.SCRYPT_LOG_N", 4)


@pytest.fixture
def folders(capsys, tmp_path):
    """Two deployments, each with a master key and a pepper of its own; the first has two organisations."""
    here, there = Terminal(capsys, tmp_path / "here"), Terminal(capsys, tmp_path / "there")
    for each in (here, there):
        each.table("init")
    here.table("org", "create", "acme")
    here.table("org", "create", "other")
    there.table("org", "create", "native")
    return here, there


async def furnished(here):
    """Put one of each into the organisation: a client, a user with key and device, an entity, a guest."""
    local, home = here.local, (await here.organisation("acme")).id
    inside, at = local.deployment.organisation_store(home), {"now": local.clock.now(), "dice": local.dice}
    elsewhere = local.deployment.organisation_store((await here.organisation("other")).id)
    client, secret = await here.add_client(
        "acme", grants=GRANTS, scopes=("read", "offline_access"), rights=("introspect",)
    )
    wish = UserWish(name="ada", email="ada@acme.example")
    user, _ = await create_user(ACTOR, inside, wish, roles=(), **at)
    guest, _ = await create_user(ACTOR, elsewhere, UserWish(name="guest"), roles=(), **at)
    await add_member(ACTOR, local.deployment, home, guest.id, roles=(), **at)
    _, key = await create_user_key(
        ACTOR, inside, user.id, "key", dialects=("mend",), digester=local.digester, **at
    )
    await enrol_totp(ACTOR, inside, user.id, "phone", issuer="k", sealer=local.sealer, **at)
    entity = await create_entity(ACTOR, inside, "FIU-1", "one", "FIU", **at)
    await link_user(ACTOR, inside, entity.id, user.id, **at)
    await link_user(ACTOR, inside, entity.id, guest.id, **at)
    readable = await reset_secret(
        ACTOR,
        inside,
        entity.id,
        None,
        dialects=("sahamati",),
        sealer=local.sealer,
        digester=local.digester,
        **at,
    )
    return Caller(here, client.id, secret), user, key, readable


async def test_secrets_go_on_elsewhere(folders, tmp_path):
    """Each secret works in the other deployment at once, under its master key, and tokens end."""
    here, there = (settings_at(each.data) for each in folders)
    file = tmp_path / "acme"
    async with serving(folders[0].data) as old:
        caller, user, key, readable = await furnished(old)
        token = await caller.begin("read")
        kids = {each["kid"] for each in (await old.jwks("acme"))["keys"]}
    moved = await export_organisation(here, file, "acme", PHRASE, ACTOR, with_keys=True)
    assert (moved.counts["users"], moved.counts["guests_left"], moved.signing_keys) == ("1", "1", 2)
    for secret in (caller.secret, key.reveal(), readable.secret.reveal(), PHRASE.reveal(), "ada@acme"):
        assert secret.encode() not in file.read_bytes()
    async with serving(folders[1].data) as new:
        mine = msgspec.structs.replace(caller, here=new)
        assert (await mine.post("token", grant_type="client_credentials")).status in {401, 404}
        before = datetime.now(UTC).timestamp() * 1000
        await import_organisation(there, file, PHRASE, ACTOR)
        # Not the next number, which the old deployment may have come to since.
        assert (await new.organisation("acme")).epoch >= int(before)

        async def works():
            return (await mine.post("token", grant_type="client_credentials")).status == 200

        assert await eventually(works, 15)
        assert not await mine.is_active(token["access_token"])
        fresh = await mine.begin("read")
        assert await mine.is_active(fresh["access_token"])
        assert {each["kid"] for each in (await new.jwks("acme"))["keys"]} == kids
        local = new.local
        hashes = local.digester.lookup_hashes(hashlib.sha256(key.reveal().encode()).digest())
        assert (await local.deployment.credential_by_hash(hashes)).owner_id == user.id
        inside = local.deployment.organisation_store((await new.organisation("acme")).id)
        [seed] = await inside.credentials_of(user.id, CredentialKind.TOTP)
        assert local.sealer.open(seed.kind, seed.id, seed.sealed)
        at = {"now": local.clock.now(), "dice": local.dice}
        again = await read_secret(ACTOR, inside, "FIU-1", sealer=local.sealer, **at)
        assert again.secret.reveal() == readable.secret.reveal()
        assert (await inside.entity("FIU-1")).users == (user.id,)
        assert local.digester.current_pepper_id == "pepper-1"
    async with open_local(there) as local:  # another start: the native pepper is still that of new secrets
        assert local.digester.current_pepper_id == "pepper-1"


async def test_conflicts(folders, tmp_path):
    """All that is taken is told at once, and nothing comes in; a dry run changes nothing either (TK-15)."""
    here, there = (settings_at(each.data) for each in folders)
    file = tmp_path / "acme"
    async with serving(folders[0].data) as old:
        _, user, *_ = await furnished(old)
    await export_organisation(here, file, "acme", PHRASE, ACTOR)
    async with open_local(there) as local:
        at = {"now": local.clock.now(), "dice": local.dice}
        native = await local.deployment.organisation_by_slug("native")
        inside = local.deployment.organisation_store(native.id)
        await create_user(ACTOR, inside, UserWish(name="x", email="ada@acme.example"), roles=(), **at)
        await create_entity(ACTOR, inside, "FIU-1", "one", "FIU", **at)
    told = (await import_organisation(there, file, PHRASE, ACTOR)).conflicts
    assert told == (f"e-mail address {user.email} of user 'ada'", "entity FIU-1")
    async with open_local(there) as local:
        assert [each.slug for each in await local.deployment.organisations()] == ["native"]
    other = tmp_path / "other"
    await export_organisation(here, other, "other", PHRASE, ACTOR)
    assert (await import_organisation(there, other, PHRASE, ACTOR, dry_run=True)).conflicts == ()
    async with open_local(there) as local:
        assert [each.slug for each in await local.deployment.organisations()] == ["native"]
    assert (await import_organisation(there, other, PHRASE, ACTOR)).conflicts == ()
    assert (await import_organisation(there, other, PHRASE, ACTOR)).conflicts[
        0
    ] == "organisation slug 'other'"


async def test_forged_by_hand(folders, tmp_path, monkeypatch):
    """TN-01: a file puts neither a client nor a signing key into an organisation that is here."""
    here, there = (settings_at(each.data) for each in folders)
    async with serving(folders[0].data) as old:
        await old.add_client("acme")
        await old.jwks("acme")
    async with open_local(there) as local:
        native = (await local.deployment.organisation_by_slug("native")).id
    written = transfers._bundle

    def strangers(bundle):
        clients = [replace(each, organisation_id=native) for each in bundle.household.clients]
        return replace(bundle, household=replace(bundle.household, clients=tuple(clients)))

    def keys(bundle, **changes):
        return replace(bundle, keys=tuple(replace(each, **changes) for each in bundle.keys))

    def issuers(bundle):
        of_native = [replace(each, record=replace(each.record, issuer_id=native)) for each in bundle.keys]
        return replace(bundle, keys=tuple(of_native))

    forgeries = {
        "not of its": strangers,
        "not its organisation's": issuers,
        "is not its": lambda bundle: keys(bundle, pkcs8=b"pkcs11:ES256:" + bytes(16)),
        "do not fit": lambda bundle: replace(bundle, peppers={**bundle.peppers, "x": bytes(32)}),
        "could outlive": lambda bundle: replace(bundle, keys=tuple(map(_giving_way, bundle.keys))),
    }
    for number, (told, forge) in enumerate(forgeries.items()):

        async def forged(*asked, forge=forge, **wish):
            return forge(await written(*asked, **wish))

        monkeypatch.setattr(transfers, "_bundle", forged)
        file = tmp_path / str(number)
        await export_organisation(here, file, "acme", PHRASE, ACTOR, with_keys=True)
        with pytest.raises(OperatorError, match=told):
            await import_organisation(there, file, PHRASE, ACTOR)
    async with open_local(there) as local:
        assert [each.slug for each in await local.deployment.organisations()] == ["native"]


def _giving_way(moved):
    """Have the key that signs retire in two minutes, when another one has signed for one (TK-14)."""
    key, now = moved.record, datetime.now(UTC)
    if key.active_at is None:
        return replace(moved, record=replace(key, active_at=now + timedelta(minutes=1)))
    return replace(moved, record=replace(key, retires_at=now + timedelta(minutes=2)))


async def test_all_or_nothing(folders):
    """What is taken between the look and the commit leaves nothing of the organisation behind."""
    there = settings_at(folders[1].data)
    async with serving(folders[0].data) as old:
        await furnished(old)
        local = old.local
        at = {"now": local.clock.now(), "dice": local.dice}
        household = await collect(ACTOR, local.deployment, "acme", **at)
    async with open_local(there) as local:
        inside = local.deployment.organisation_store(
            (await local.deployment.organisation_by_slug("native")).id
        )
        await create_entity(ACTOR, inside, "FIU-1", "one", "FIU", **at)
        with pytest.raises(Clash, match="entity"):
            await settle(ACTOR, local.deployment, household, (), **at)
        assert await local.deployment.organisation_by_slug("acme") is None
        assert await local.deployment.client_view(household.clients[0].id) is None


def test_commands(folders, tmp_path, monkeypatch):
    """`export` and `import` take the passphrase from a file or standard input, and say what moved."""
    here, there = folders
    file, phrase, wrong = tmp_path / "acme", tmp_path / "phrase", tmp_path / "wrong"
    phrase.write_text(PHRASE.reveal() + "\n")
    wrong.write_text("incorrect horse battery staple")
    here.table("client", "create", "acme", "--name", "bot")
    words = ("export", str(file), "--organisation", "acme", "--passphrase-file", str(phrase))
    assert here.json(*words)["organisation"] == "acme"
    assert here.refused(*words)[0] == 1
    short = tmp_path / "short"
    short.write_text("short")
    assert "characters" in here.refused(*words[:-1], str(short))[1]
    assert "passphrase" in there.refused("import", str(file), "--passphrase-file", str(wrong))[1]
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    assert "cut" in there.refused("import", str(file), "--passphrase-file", str(phrase))[1]
    file.write_bytes(whole)
    tried = there.json("import", str(file), "--passphrase-file", str(phrase), "--dry-run")
    assert tried["imported"] is False
    assert there.json("import", str(file), "--passphrase-file", str(phrase))["imported"] is True
    assert {each["slug"] for each in there.json("org", "list")} == {"native", "acme"}
    code, line = there.refused("import", str(file), "--passphrase-file", str(phrase))
    assert (code, "taken here" in line) == (1, True)
    monkeypatch.setattr("keyturn.cli.import_.MOST_CONFLICTS", 1)
    code, line = there.refused("import", str(file), "--passphrase-file", str(phrase))
    assert re.search(r"taken here: organisation slug 'acme' and 1 more$", line)
    assert is_bundle(file)
    assert not is_bundle(phrase)
    kinds = [each["kind"] for each in there.json("audit", "tail")]
    assert kinds.count("organisation.imported") == 1
    [told] = [each for each in here.json("audit", "tail") if each["kind"] == "organisation.exported"]
    assert told["details"]["signing_keys"] == "left"
    here.table("org", "delete", "acme", "--yes-delete", "acme")
    code, line = here.refused("import", str(file), "--passphrase-file", str(phrase))
    assert (code, "organisation slug 'acme'" in line) == (1, True)  # never revived
