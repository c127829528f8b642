"""A PostgreSQL deployment brought back by its own tools, and what `keyturn restored` ends (RE-09)."""

import asyncio
from contextlib import asynccontextmanager

import msgspec
import pytest

from ground import ACTOR
from harness import PLENTY, Deployment
from integration.test_backup import caller_at
from keyturn.app import make_master_key, open_local
from keyturn.backups import mark
from keyturn.config import load_settings
from keyturn.core.clock import SystemClock
from keyturn.core.errors import OperatorError
from keyturn.directory.organisations import create_organisation
from keyturn.directory.restoring import RestoreWish
from keyturn.storage.limits import MemoryLimits
from postgres import binaries


@asynccontextmanager
async def serving(settings):
    """Open the desk of a server on a database, in process."""
    async with open_local(settings, create=True) as local:
        limits = MemoryLimits(dict.fromkeys(("client", "user", "address", "organisation"), PLENTY))
        yield Deployment(local, None, limits, local.clock, 20)


async def run(*command):
    """Run a program that succeeds."""
    assert await (await asyncio.create_subprocess_exec(*command)).wait() == 0


@pytest.mark.slow
async def test_dumped_and_restored(postgres, keyturn_url, postgres_url, tmp_path):
    """RE-09: after pg_dump, pg_restore and `restored` a token that was revoked in between is dead."""
    dump, restore = (binaries() / name for name in ("pg_dump", "pg_restore"))
    if not dump.exists() or not restore.exists():
        pytest.skip("pg_dump and pg_restore are not here")
    make_master_key(tmp_path / "master.key")
    there, back = (
        load_settings(flags={"data": tmp_path}, environ={"KEYTURN_DATABASE_URL": url})
        for url in (keyturn_url, postgres_url)
    )
    async with serving(there) as here:
        local = here.local
        await create_organisation(
            ACTOR, local.deployment, "acme", "Acme", now=local.clock.now(), dice=local.dice
        )
        caller = await caller_at(here)
        token = await caller.begin("read offline_access")
        file = tmp_path / "keyturn.dump"
        await run(dump, "--format=custom", f"--file={file}", keyturn_url)
        assert (await caller.post("revoke", token=token["access_token"])).status == 200
    await run(restore, "--no-owner", "--exit-on-error", f"--dbname={postgres_url}", file)
    done = await mark(back, ACTOR, RestoreWish())
    async with serving(back) as here:
        caller = msgspec.structs.replace(caller, here=here)
        assert not await caller.is_active(token["access_token"])
        assert (await caller.renew(token["refresh_token"])).status == 400
        assert await caller.is_active((await caller.begin("read"))["access_token"])
        [told] = await here.audit("deployment.restored")
        assert (told.at, told.details["tokens"]) == (done.at, "ended")


def test_no_sqlite_backup(tmp_path):
    """`keyturn backup` of a PostgreSQL deployment says where to read on, and writes nothing."""
    from keyturn.backups import make_backup

    settings = load_settings(flags={"data": tmp_path}, environ={"KEYTURN_DATABASE_URL": "postgresql://h/d"})
    file = tmp_path / "backup"
    with pytest.raises(OperatorError, match="PostgreSQL has its own"):
        make_backup(settings, file, force=False, now=SystemClock().now(), dice=bytes)
    assert not file.exists()
