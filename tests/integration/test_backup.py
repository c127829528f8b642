"""Backup and restore on real data folders: what is in one, what comes back, and what does not (RE-09)."""

import asyncio
import errno
import os
import shutil
import sqlite3
import stat
from contextlib import asynccontextmanager, closing
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from ground import ACTOR
from harness import PLENTY, Deployment
from integration.renewal import Caller
from integration.test_cli import Terminal
from keyturn.app import copies, open_local
from keyturn.backups import make_backup, mark, restore_backup, verify_backup, workshop
from keyturn.config import load_settings
from keyturn.core.clock import SystemClock
from keyturn.core.errors import OperatorError
from keyturn.directory.restoring import RestoreWish
from keyturn.directory.users import UserWish, create_user
from keyturn.keys.ring import FOUNDED
from keyturn.storage.limits import MemoryLimits
from keyturn.storage.turns import FairLock


@pytest.fixture
def terminal(capsys, tmp_path):
    """A new data folder with an organisation."""
    made = Terminal(capsys, tmp_path / "data")
    made.begin("org", "create", "acme")
    return made


def settings_at(folder):
    """Read the settings of a data folder as a command does."""
    return load_settings(flags={"data": folder}, environ={})


@asynccontextmanager
async def serving(folder):
    """Open the desk of a server on a data folder, in process."""
    async with open_local(settings_at(folder)) as local:
        limits = MemoryLimits(dict.fromkeys(("client", "user", "address", "organisation"), PLENTY))
        yield Deployment(local, None, limits, local.clock, 20)


GRANTS = ("client_credentials", "refresh_token")


async def caller_at(here, slug="acme"):
    """Make a client that may ask, renew and ask about tokens."""
    scopes = ("read", "offline_access")
    client, secret = await here.add_client(slug, grants=GRANTS, scopes=scopes, rights=("introspect",))
    return Caller(here, client.id, secret, slug)


def backed_up(folder, file):
    """Back a data folder up."""
    now = SystemClock().now()
    return make_backup(settings_at(folder), file, now=now, dice=os.urandom, force=False)


async def back(folder, file, **wish):
    """Restore over what is there."""
    return await restore_backup(settings_at(folder), file, ACTOR, RestoreWish(**wish), replace=True)


async def test_nothing_revoked_revives(terminal, tmp_path):
    """RE-09, RV-04: after each restore all tokens of before it are dead and later secrets gone."""
    data, file = terminal.data, tmp_path / "backup"
    async with serving(data) as here:
        caller = await caller_at(here)
        old = await caller.begin("read offline_access")
        backed_up(data, file)
        late = await caller_at(here)
        assert (await caller.post("revoke", token=old["access_token"])).status == 200
        later = await caller.begin("read offline_access")
    for _ in range(2):  # tokens made after the first restore of a backup are dead after the second
        await back(data, file)
        async with serving(data) as here:
            caller = msgspec.structs.replace(caller, here=here)
            late = msgspec.structs.replace(late, here=here)
            for token in (old, later):
                assert not await caller.is_active(token["access_token"])
                assert (await caller.renew(token["refresh_token"])).status == 400
            assert (await late.post("token", grant_type="client_credentials")).status == 401
            later = await caller.begin("read offline_access")
            assert await caller.is_active(later["access_token"])


async def test_tokens_kept_and_keys_withdrawn(terminal, tmp_path):
    """RE-09: told so, tokens live on; with new signing keys none does, and the new keys sign at once."""
    data, file = terminal.data, tmp_path / "backup"
    async with serving(data) as here:
        caller = await caller_at(here)
        old = await caller.begin("read")
        before = {key["kid"] for key in (await here.jwks("acme"))["keys"]}
        backed_up(data, file)
    await back(data, file, keep_tokens=True)
    async with serving(data) as here:
        assert await msgspec.structs.replace(caller, here=here).is_active(old["access_token"])
    await mark(settings_at(data), ACTOR, RestoreWish(keep_tokens=True, rings=FOUNDED))
    async with serving(data) as here:
        caller = msgspec.structs.replace(caller, here=here)
        assert not await caller.is_active(old["access_token"])
        fresh = await caller.begin("read")
        assert await caller.is_active(fresh["access_token"])
        assert before.isdisjoint(key["kid"] for key in (await here.jwks("acme"))["keys"])


async def test_a_consistent_point(terminal, tmp_path):
    """RE-09: a backup taken while others write has each unit whole: as many users as homes of theirs."""
    data, file = terminal.data, tmp_path / "backup"
    begun, stop = asyncio.Event(), asyncio.Event()
    async with open_local(settings_at(data)) as local:
        home = await local.deployment.organisation_by_slug("acme")
        inside = local.deployment.organisation_store(home.id)

        async def write():
            number = 0
            while not stop.is_set() or number < 5:
                number += 1
                wish = UserWish(name=f"user{number}")
                at = {"now": local.clock.now(), "dice": local.dice}
                await create_user(ACTOR, inside, wish, roles=(), **at)
                if number == 2:
                    begun.set()
            return number

        async with asyncio.TaskGroup() as group:
            writing = group.create_task(write())
            await begun.wait()
            seen = await asyncio.to_thread(backed_up, data, file)
            stop.set()
        written = writing.result()
    verified = await verify_backup(settings_at(data), file, ACTOR)
    assert (verified.good, verified.seen.sight) == (True, seen.sight)
    await back(data, file)
    with closing(sqlite3.connect(data / "keyturn.db")) as store:
        (users,) = store.execute("SELECT count(*) FROM user_account").fetchone()
        (homes,) = store.execute("SELECT count(*) FROM membership").fetchone()
        (told,) = store.execute("SELECT count(*) FROM audit WHERE kind = 'user.created'").fetchone()
    assert 2 <= users == homes == told == seen.sight.counts["user_account"] <= written


def test_commands(terminal, tmp_path):
    """`backup`, `backup verify` and `restore` say what they did; the gap has a name in the trail (AD-05)."""
    file, data = tmp_path / "backup", terminal.data
    terminal.table("upkeep", "run", "checkpoint")
    kept = terminal.json("audit", "verify")["newest_checkpoint"]
    made = terminal.json("backup", str(file))
    assert (made["newest_checkpoint"], made["rows"]["organisation"]) == (kept, 1)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "master key is not in it" in terminal.table("backup", str(file), "--force")
    assert terminal.refused("backup", str(file))[0] == 1
    checked = terminal.json("backup", "verify", str(file))
    assert (checked["good"], checked["deployment"]) == (True, made["deployment"])
    terminal.table("org", "create", "after")
    terminal.table("upkeep", "run", "checkpoint")
    noted = terminal.json("audit", "verify")["newest_checkpoint"]
    code, line = terminal.refused("restore", str(file))
    assert (code, "--replace" in line) == (1, True)
    done = terminal.json("restore", str(file), "--replace")
    assert [each["slug"] for each in terminal.json("org", "list")] == ["acme"]
    assert stat.S_IMODE((data / "keyturn.db").stat().st_mode) == 0o600
    assert copies.look(data / done["before"]).counts["organisation"] == 2
    [told] = [each for each in terminal.json("audit", "tail") if each["kind"] == "deployment.restored"]
    assert (told["details"]["checkpoint"], told["details"]["replaced_checkpoint"]) == (kept, noted)
    assert terminal.json("audit", "verify", "--noted", kept)["intact"] is True
    code, line = terminal.refused("audit", "verify", "--noted", noted)
    assert (code, "restored at" in line) == (1, True)
    assert terminal.refused("restored")[0] == 1
    assert terminal.json("restored", "--yes")["tokens"] == "ended"
    assert list(data.glob("keyturn-copy-*")) == []


def test_another_folder(terminal, tmp_path):
    """A backup goes into an empty folder with its master key; never over another deployment's database."""
    file = tmp_path / "backup"
    terminal.table("backup", str(file))
    elsewhere = Terminal(terminal.capsys, tmp_path / "elsewhere")
    code, line = elsewhere.refused("restore", str(file))
    assert (code, "master key" in line) == (3, True)
    elsewhere.table("init")
    code, line = elsewhere.refused("restore", str(file), "--replace")
    assert (code, "needs the master key with id" in line) == (1, True)
    shutil.copy(terminal.data / "master.key", elsewhere.data / "master.key")
    code, line = elsewhere.refused("restore", str(file), "--replace")
    assert (code, "another deployment" in line) == (1, True)
    (elsewhere.data / "keyturn.db").unlink()
    elsewhere.table("restore", str(file))
    assert [each["slug"] for each in elsewhere.json("org", "list")] == ["acme"]


def test_a_link_stays(terminal, tmp_path):
    """A restore leaves a link to the database where it is, and replaces the file that it leads to."""
    file, link, path = tmp_path / "backup", terminal.data / "keyturn.db", tmp_path / "disk" / "keyturn.db"
    path.parent.mkdir()
    link.rename(path)
    link.symlink_to(path)
    terminal.table("backup", str(file))
    before = path.stat().st_ino
    done = terminal.json("restore", str(file), "--replace")
    assert (link.readlink(), path.stat().st_ino != before) == (path, True)
    assert Path(done["before"]).stat().st_ino == before
    assert [each["slug"] for each in terminal.json("org", "list")] == ["acme"]


def test_not_while_it_is_open(terminal, tmp_path):
    """A database that a process has open is not replaced: one of ours, an older one's, any SQLite at all."""
    file, path = tmp_path / "backup", terminal.data / "keyturn.db"
    terminal.table("backup", str(file))
    ours = FairLock(path)
    assert "open in another process" in terminal.refused("restore", str(file), "--replace")[1]
    ours.close()
    with closing(sqlite3.connect(path)) as older:
        older.execute("SELECT count(*) FROM client").fetchone()
        assert "open in another process" in terminal.refused("restore", str(file), "--replace")[1]
    with copies.alone(path), pytest.raises(OSError, match=os.strerror(errno.EBUSY)):
        FairLock(path)
    terminal.table("restore", str(file), "--replace")


def test_damaged(terminal, tmp_path):
    """A damaged database makes room and is kept; a backup that was altered takes no place."""
    file, path = tmp_path / "backup", terminal.data / "keyturn.db"
    terminal.table("backup", str(file))
    whole = file.read_bytes()
    file.write_bytes(whole[:-20])
    before = path.read_bytes()
    for words in (("backup", "verify", str(file)), ("restore", str(file), "--replace")):
        code, line = terminal.refused(*words)
        assert (code, "cut" in line) == (1, True)
    assert path.read_bytes() == before
    file.write_bytes(whole)
    path.write_bytes(b"no database at all" * 100)
    done = terminal.json("restore", str(file), "--replace")
    assert (terminal.data / done["before"]).read_bytes().startswith(b"no database")
    assert len(terminal.json("org", "list")) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_restored_by_root(tmp_path):
    """What root restores belongs to whom it belonged before, so that the service's user can start on it."""
    there, fresh, empty = tmp_path / "keyturn.db", tmp_path / "fresh", tmp_path / "empty"
    with closing(sqlite3.connect(there)) as store:
        store.execute("CREATE TABLE t (c)")
    shutil.copy(there, fresh)
    os.chown(there, 12345, 12346)
    copies.put_in_place(fresh, there, SystemClock().now())
    assert (there.stat().st_uid, there.stat().st_gid) == (12345, 12346)
    empty.mkdir()
    os.chown(empty, 12345, 12346)
    shutil.copy(there, fresh)
    copies.put_in_place(fresh, empty / "keyturn.db", SystemClock().now())
    assert (empty / "keyturn.db").stat().st_uid == 12345


def test_killed_workshops_are_removed(terminal):
    """What a killed command left in the clear is removed by the next; one that is at work is left alone."""
    settings = settings_at(terminal.data)
    left = terminal.data / "keyturn-copy-left"
    left.mkdir()
    (left / "copy.db").write_bytes(b"in the clear")
    with workshop(settings) as busy:
        assert not left.exists()
        with workshop(settings):
            assert busy.exists()
    assert list(terminal.data.glob("keyturn-copy-*")) == []


async def test_clock(terminal, tmp_path):
    """RE-07: a restore under a clock that is behind is refused, since what ends goes by its time."""
    async with open_local(settings_at(terminal.data)) as local:
        await local.store.upkeep.note_clock(local.clock.now() + timedelta(days=1))
    backed_up(terminal.data, tmp_path / "backup")
    with pytest.raises(OperatorError, match="the clock says"):
        await back(terminal.data, tmp_path / "backup")
