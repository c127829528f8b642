"""``keyturn upgraded``: from when on every process writes as this release does."""

import asyncio
import json
import secrets
import sqlite3
from contextlib import closing
from datetime import UTC, datetime

import pytest

from contract.test_store_on_disk import eventually
from integration.test_cli import Terminal
from keyturn.app import open_local
from keyturn.cli.local import local_actor
from keyturn.config import load_settings
from keyturn.core.actors import Actor
from keyturn.core.errors import Fault, OperatorError
from keyturn.core.forms import PURPOSE, Form, read_by_all
from keyturn.core.records import Sealed
from keyturn.core.vocabulary import OrganisationId
from keyturn.directory.upgrading import mark_upgraded
from keyturn.keys.sealing import MasterKey, MasterSealer

PATIENCE = 10.0


@pytest.fixture
def terminal(capsys, tmp_path):
    """A deployment that the first release made: it says nothing of forms."""
    made = Terminal(capsys, tmp_path / "data")
    made.begin()
    tell(made, "DELETE FROM sealed WHERE purpose = 'forms'")
    return made


def tell(terminal, statement):
    """Change the database behind everybody's back."""
    with closing(sqlite3.connect(terminal.data / "keyturn.db")) as store:
        store.execute(statement)
        store.commit()


def settings(terminal):
    """Give the settings of its data folder."""
    return load_settings(flags={"data": terminal.data}, environ={})


def finding(terminal):
    """Give the doctor's verdict on it."""
    rows = json.loads(terminal.code("doctor", "--format", "json")[1])
    return next(row["verdict"] for row in rows if row["check"] == "store.upgraded")


def test_upgraded(terminal):
    """RE-04: a running process hears that the earlier release is gone; once is enough."""

    async def say():
        async with open_local(settings(terminal)) as serving:
            assert serving.forms.written is Form.FIRST
            said = asyncio.to_thread(terminal.json, "upgraded", "--yes")
            assert await said == {"form": 2, "before": 1}

            async def heard():
                return serving.forms.written is Form.SPELLED

            assert await eventually(heard, PATIENCE)

    assert finding(terminal) == "warn"
    assert terminal.code("upgraded")[0] == 1  # a terminal would be asked
    asyncio.run(say())
    assert finding(terminal) == "ok"
    assert terminal.json("upgraded", "--yes") == {"form": 2, "before": 2}
    rows = [row for row in terminal.json("audit", "tail") if row["kind"] == "deployment.upgraded"]
    assert [row["details"] for row in rows] == [{"form": "2", "before": "1"}]


def test_operators_who_say_it_at_once(terminal):
    """RE-04: whoever is not first has nothing to do either: no error, and it was said once."""

    async def say():
        async with open_local(settings(terminal)) as one, open_local(settings(terminal)) as other:
            words = (
                mark_upgraded(
                    local_actor(), each.deployment, each.sealer, now=each.clock.now(), dice=each.dice
                )
                for each in (one, other) * 3
            )
            return await asyncio.gather(*words)

    assert {said.now for said in asyncio.run(say())} == {Form.SPELLED}
    rows = [row for row in terminal.json("audit", "tail") if row["kind"] == "deployment.upgraded"]
    assert [row["outcome"] for row in rows] == ["ok"]


def test_a_new_deployment(capsys, tmp_path):
    """RE-04: a store that this release made has nobody to wait for."""
    made = Terminal(capsys, tmp_path / "data")
    made.begin()
    assert finding(made) == "ok"


def test_who_may_say_so(terminal):
    """TN-01: who is confined to an organisation says nothing about the deployment."""

    async def say():
        confined = Actor("operator:ada", OrganisationId("o"))
        async with open_local(settings(terminal)) as local:
            with pytest.raises(OperatorError, match="deployment"):
                await mark_upgraded(
                    confined, local.deployment, local.sealer, now=local.clock.now(), dice=local.dice
                )

    asyncio.run(say())


def test_a_word_that_was_altered(terminal):
    """RE-04: nobody without the master key says that a release is gone: a row put there stops the start."""
    tell(
        terminal,
        "INSERT INTO sealed (id, purpose, value, created_at) "
        "SELECT 'forms-2', 'forms', value, created_at FROM sealed WHERE purpose = 'pepper'",
    )
    code, said = terminal.refused("org", "list")
    assert (code, "forms/forms-2" in said) == (4, True)


@pytest.mark.parametrize("word", [b"", b"two", b"0"])
def test_a_word_that_names_no_form(word):
    """RE-04: a sealed value that names no form is a fault of ours, told in words."""
    sealer = MasterSealer(MasterKey.generate(secrets.token_bytes), secrets.token_bytes)
    value = sealer.seal(PURPOSE, "forms-x", word)
    kept = Sealed(id="forms-x", purpose=PURPOSE, value=value, created_at=datetime(2026, 3, 1, tzinfo=UTC))
    with pytest.raises(Fault, match="forms/forms-x names no form"):
        read_by_all([kept], sealer)
