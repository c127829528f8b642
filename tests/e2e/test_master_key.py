"""A rotation of the master key that is killed again and again, beside a server that issues all the time."""

import asyncio
import os
import signal
import sqlite3
import subprocess
from contextlib import closing

import pytest

from e2e.load import under_load
from e2e.servers import KEYTURN, START_SECONDS, environment, run, serving, told, within
from keyturn.app import open_local
from keyturn.config import load_settings
from keyturn.core.actors import system
from keyturn.core.changes import Add, Unit
from keyturn.core.identifiers import uuid7
from keyturn.core.records import AuditEvent, Sealed

VALUES = 2_000


async def fill(data):
    """Seal many values under the key in use."""
    async with open_local(load_settings(flags={"data": data}, environ={}, demo=True)) as local:
        now = local.clock.now()
        made = [f"filler-{number:05}" for number in range(VALUES)]
        values = [
            Sealed(id=name, purpose="filler", value=local.sealer.seal("filler", name, b"x"), created_at=now)
            for name in made
        ]
        event = AuditEvent(
            at=now, kind="filled", actor=system("test").name, request_id=uuid7(now, os.urandom)
        )
        await local.deployment.record(Unit(audit=event, changes=tuple(map(Add, values))))


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a_rotation_is_killed(tmp_path):
    """RE-01, TK-12: killed at every stage, a rotation goes on when it is said again; no request fails."""
    data, home = tmp_path / "data", tmp_path / "home"
    at = ("--data", str(data))
    file = data / "master.key"

    def rotate():
        command = [KEYTURN, "master-key", "rotate", *at]
        quiet = subprocess.DEVNULL
        return subprocess.Popen(command, env=environment(home), stdout=quiet, stderr=quiet)

    def left(old):
        with closing(sqlite3.connect(f"file:{data / 'keyturn.db'}?mode=ro", uri=True)) as store:
            asked = "SELECT count(*) FROM sealed WHERE hex(substr(value, 2, 8)) = ?"
            return store.execute(asked, (old.upper(),)).fetchone()[0]

    def free_lease():
        """Let the time pass for which a dead process's job is nobody else's."""
        with closing(sqlite3.connect(data / "keyturn.db", timeout=30)) as store, store:
            store.execute("UPDATE lease SET until = 0 WHERE name = 'master-key'")

    def in_use():
        return next(row["key_id"] for row in told(home, "master-key", "status", *at) if row["in_use"])

    with serving(data, home) as node:
        asyncio.run(fill(data))
        old = in_use()
        total = left(old)
        client = node.client("oauth2")
        with under_load(node.url, client, 2, pause=0.02) as load:
            stages = [
                lambda: len(file.read_text().split()) == 2,
                lambda: left(old) < total,
                lambda: left(old) < total - VALUES // 4,
                lambda: left(old) < total - VALUES // 2,
            ]
            for stage in stages:
                process = rotate()
                try:
                    within(START_SECONDS, lambda now=stage, one=process: now() or one.poll() is not None)
                finally:
                    process.send_signal(signal.SIGKILL)
                    process.wait()
                free_lease()
                assert len(file.read_text().split()) == 2
            assert left(old) > 0, "nothing was left for the last run"
            said = run(home, "master-key", "rotate", *at)
            assert said.code == 0, said.err
            assert left(old) == 0
        assert load.broken == []
        assert set(load.statuses) == {200}
        assert in_use() != old
    keys = file.read_text().split()
    file.write_text(keys[-1] + "\n")  # the old one is gone for good
    with serving(data, home) as node:
        assert node.token("oauth2").status == 200
        assert [row["values"] > VALUES for row in told(home, "master-key", "status", *at)] == [True]
