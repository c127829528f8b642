"""Upkeep by the command line, on a real data folder: jobs, checkpoints, tampering, the clock."""

import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from integration.test_cli import Terminal
from keyturn.app import open_local
from keyturn.cli.local import open_verbs
from keyturn.config import load_settings
from keyturn.core.errors import ConfigError, OperatorError
from keyturn.core.vocabulary import Algorithm
from keyturn.serving import require_sound_start
from keyturn.storage.schema import micros

DAY = timedelta(days=1)


@pytest.fixture
def terminal(capsys, tmp_path):
    """A data folder that is made, with an organisation whose trail is signed."""
    made = Terminal(capsys, tmp_path / "data")
    made.begin("org", "create", "acme")
    return made


def sql(terminal, text, *values):
    """Change the database behind Keyturn's back."""
    with closing(sqlite3.connect(terminal.data / "keyturn.db", isolation_level=None)) as connection:
        return connection.execute(text, values).fetchall()


def broken(terminal):
    """Verify a trail that is broken and give what is said."""
    code, line = terminal.refused("audit", "verify")
    assert code == 1
    return line


def test_jobs_run_and_tell(terminal):
    """`upkeep run` does every job once, and `upkeep status` tells when each ran and is due."""
    before = terminal.json("upkeep", "status")
    assert [(row["job"], row["last_run_at"]) for row in before] == [
        ("keys", None),
        ("clean", None),
        ("checkpoint", None),
        ("master-key", None),
        ("expiry", None),
        ("notices", None),
    ]
    ran = {row["job"]: row["outcome"] for row in terminal.json("upkeep", "run")}
    assert ran == {
        "keys": "turned 0 of 0 rings",
        "clean": "deleted nothing",
        "checkpoint": "checkpoint 1",
        "master-key": "one master key",
        "expiry": "told of 0 credentials",
        "notices": "0 new; nothing to send",
    }
    after = {row["job"]: row for row in terminal.json("upkeep", "status")}
    assert after["clean"]["outcome"] == "deleted nothing"
    assert after["clean"]["running"] is None
    assert after["clean"]["due_at"] > after["clean"]["last_run_at"]
    assert terminal.json("upkeep", "run", "clean")[0]["job"] == "clean"
    assert terminal.refused("upkeep", "run", "nonsense")[0] == 1


def test_a_job_that_fails_says_so(terminal):
    """A job that fails gives exit code 1 and is told as failed, with no words of the error."""
    terminal.table("upkeep", "run", "checkpoint")
    sql(terminal, "UPDATE audit_checkpoint SET statement = 'garbage'")
    terminal.table("org", "rename", "acme", "Acme Inc")
    code, line = terminal.refused("upkeep", "run", "checkpoint")
    assert (code, "checkpoint failed: Fault" in line) == (1, True)
    [row] = [each for each in terminal.json("upkeep", "status") if each["job"] == "checkpoint"]
    assert row["failures"] == 1


def test_the_audit_key_is_shown(terminal):
    """The public half of the audit key is shown once there is one, and nothing of the private half."""
    assert terminal.refused("audit", "key")[0] == 1
    terminal.table("upkeep", "run", "checkpoint")
    key = terminal.json("audit", "key")
    assert (key["kty"], key["crv"], key["kid"]) == ("OKP", "Ed25519", key["kid"])
    assert "d" not in key


def signed_trail(terminal):
    """Sign the trail as it is, and verify that."""
    terminal.table("upkeep", "run", "checkpoint")
    terminal.table("upkeep", "run", "checkpoint")
    rows = terminal.json("audit", "verify", "--all")
    assert all(row["rows"] == row["signed_to"] for row in rows if row["signed_to"])


@pytest.mark.parametrize(
    ("tampering", "named"),
    [
        ("UPDATE audit SET actor = 'x' WHERE id = 2", r"chain \S+ at row \d+"),
        ("DELETE FROM audit WHERE id = 1", r"chain \S+ at row 1"),
        ("DELETE FROM audit WHERE chain_id = 1", r"chain \S+ at row 1"),
        ("DELETE FROM audit_checkpoint WHERE seq = 1", r"checkpoint 1 removed"),
        ("UPDATE audit_checkpoint SET at = at + 1 WHERE seq = 2", r"checkpoint 2 altered"),
        ("UPDATE audit_checkpoint SET signature = x'00' WHERE seq = 1", r"checkpoint 1 altered"),
        ("UPDATE audit_checkpoint SET statement = 'text' WHERE seq = 2", r"checkpoint 2 altered"),
        ("UPDATE audit_checkpoint SET at = 'never' WHERE seq = 2", r"checkpoint 2 altered"),
        ("DELETE FROM audit_checkpoint", r"checkpoint 1 removed"),
        ("UPDATE audit SET details = '{' WHERE id = 2", r"chain \S+ at row \d+"),
        ("UPDATE audit SET at = 'never' WHERE id = 1", r"chain \S+ at row 1"),
        ("UPDATE audit SET row_hash = 'text' WHERE id = 1", r"chain \S+ at row 1"),
    ],
)
def test_what_was_tampered_with_is_named(terminal, tampering, named):
    """AD-05: rows, ends of chains, whole chains and checkpoints that are gone or altered are named."""
    signed_trail(terminal)
    sql(terminal, tampering)
    assert re.search(named, broken(terminal))


def test_verify_tells_in_one_answer_what_holds(terminal):
    """AD-05: `audit verify` counts chains and rows, also those that nobody signed yet; --all shows chains."""
    signed_trail(terminal)
    terminal.table("org", "rename", "acme", "Acme Inc")
    told, chains = terminal.json("audit", "verify"), terminal.json("audit", "verify", "--all")
    assert told["intact"] is True
    assert told["chains"] == len(chains) > 2
    assert told["rows"] == sum(row["rows"] for row in chains)
    assert told["rows_not_signed_yet"] == 1
    assert told["newest_checkpoint"].startswith("2:")
    assert told["signed_at"].endswith("Z")


def test_a_trail_that_was_set_back_shows_by_what_was_noted(terminal):
    """AD-05: where the newest checkpoint went with all it covered, its number and hash from the log tell."""
    signed_trail(terminal)
    early = terminal.json("audit", "verify")["newest_checkpoint"]
    terminal.table("org", "rename", "acme", "Acme Inc")
    terminal.table("upkeep", "run", "checkpoint")
    late = terminal.json("audit", "verify", "--noted", early)["newest_checkpoint"]
    assert terminal.json("audit", "verify", "--noted", early, "--noted", late)["intact"] is True
    other = early[:-1] + ("0" if early[-1] != "0" else "1")
    assert "checkpoint 2 altered" in terminal.refused("audit", "verify", "--noted", other)[1]
    sql(terminal, "DELETE FROM audit_checkpoint WHERE seq = 3")
    [(kept,)] = sql(terminal, "SELECT min(id) FROM audit WHERE id > 1 AND kind = 'organisation.renamed'")
    sql(terminal, "DELETE FROM audit WHERE id >= ?", kept)
    assert terminal.json("audit", "verify")["intact"] is True  # a store cannot prove that of itself
    assert "checkpoint 3 removed" in terminal.refused("audit", "verify", "--noted", late)[1]
    assert terminal.code("audit", "verify", "--noted", "2:beef")[0] == 2


def test_a_chain_cut_at_its_end_is_named(terminal):
    """AD-05: the last row of a chain, which nothing in the chain misses, is missed by the checkpoint."""
    signed_trail(terminal)
    [(chain_id, seq)] = sql(terminal, "SELECT chain_id, max(seq) FROM audit WHERE chain_id = 1")
    sql(terminal, "DELETE FROM audit WHERE chain_id = ? AND seq = ?", chain_id, seq)
    assert f"at row {seq}" in broken(terminal)


def test_retention_by_the_command_line(terminal, monkeypatch):
    """AD-05: with retention old rows go, and what is left verifies."""
    monkeypatch.setenv("KEYTURN_AUDIT__RETENTION_DAYS", "1")
    for name in ("One", "Two", "Three"):
        terminal.table("org", "rename", "acme", name)
    told = {row["job"]: row["outcome"] for row in terminal.json("upkeep", "run")}
    assert told["retention"] == "nothing is old enough"
    assert len(terminal.json("audit", "verify")) > 3


def test_the_clock_is_accepted(terminal):
    """RE-07: a newest time in the future stops jobs, until an operator accepts the clock."""
    ahead = micros(datetime.now(UTC) + DAY)
    sql(terminal, "INSERT INTO clock_mark VALUES (1, ?, 0, 0, NULL)", ahead)
    code, line = terminal.refused("upkeep", "run", "checkpoint")
    assert (code, "clock accept" in line) == (1, True)
    assert terminal.json("clock", "show")["sound"] is False
    accepted = terminal.json("clock", "accept")
    assert terminal.json("clock", "show")["sound"] is True
    assert accepted["newest_before"] > accepted["now"]
    assert terminal.json("upkeep", "run", "checkpoint")[0]["outcome"] == "checkpoint 1"


@pytest.fixture
def settings(terminal):
    """The settings of the data folder."""
    return load_settings(flags={"data": terminal.data}, environ={})


async def give_way(local, lifetime):
    """Rotate a ring twice, so that its key gives way soon, told of some longest lifetime."""
    organisation = await local.deployment.organisation_by_slug("acme")
    for _ in range(2):
        await local.rings.rotate(
            organisation.id,
            Algorithm.ES256,
            local.clock.now(),
            longest_lifetime=lifetime,
            actor="operator:test",
            request_id="r",
        )


async def test_a_start_under_which_a_token_could_outlive_its_key_is_refused(settings):
    """TK-14: a server does not start with lifetimes that a key which gives way was not told of."""
    async with open_local(settings) as local:
        await require_sound_start(local)
        await give_way(local, timedelta(minutes=5))
        with pytest.raises(ConfigError, match="outlive"):
            await require_sound_start(local)


async def test_a_setting_under_which_a_token_could_outlive_its_key_is_refused(settings):
    """TK-14: an organisation's lifetime is not raised above what a key that gives way was told."""
    async with open_local(settings) as local:
        await give_way(local, timedelta(minutes=5))
    async with open_verbs(settings) as verbs:
        with pytest.raises(OperatorError, match="outlive"):
            await verbs.set_organisation("acme", "oauth2.lifetime_seconds", "900")
        await verbs.set_organisation("acme", "oauth2.lifetime_seconds", "120")


def test_a_rotation_shorter_than_caches_is_refused():
    """TK-14: a key has to sign for longer than key sets are cached."""
    environ = {
        "KEYTURN_KEYS__ROTATE_DAYS": "1",
        "KEYTURN_JWKS_CACHE_SECONDS": "86400",
        "KEYTURN_PUBLIC_URL": "https://tokens.example",
    }
    with pytest.raises(ConfigError, match=r"keys\.rotate_days"):
        load_settings(flags={}, environ=environ, serving=True)
