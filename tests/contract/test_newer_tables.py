"""A store that is open while a later version adds to its tables (RE-04)."""

import asyncio

import pytest

from contract.store_kit import ACME, client, credential, open_file, seed, unit
from keyturn.core.changes import Add, Recorded
from keyturn.storage.grounds import ground_of

LATER = (
    "ALTER TABLE organisation ADD COLUMN later TEXT",
    "ALTER TABLE client ADD COLUMN later BOOLEAN DEFAULT false NOT NULL",
    "ALTER TABLE credential ADD COLUMN later BIGINT DEFAULT 7 NOT NULL",
    "ALTER TABLE audit ADD COLUMN later TEXT",
    "CREATE TABLE later (id TEXT PRIMARY KEY, organisation_id TEXT NOT NULL REFERENCES organisation (id))",
    "UPDATE alembic_version SET version_num = '9999'",
)
"""What the next version may do to tables that are in use."""
SOME = 15


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request, tmp_path):
    """A database whose tables a test may change."""
    return tmp_path / "keyturn.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")


def grow(place):
    """Do what a later version does at its start."""
    ground = ground_of(place)
    engine = ground.writing_engine()
    with ground.turns().held(), engine.connect() as connection:
        ground.begin_migrating(connection)
        for statement in LATER:
            connection.exec_driver_sql(statement)
        ground.commit(connection)
    engine.dispose()


async def test_tables_grow_below_an_open_store(place):
    """While tables grow, all that is recorded and read succeeds, then and after, also by one opened later."""
    store = await open_file(place)
    await seed(store)
    outcomes = []

    async def write(number):
        while len(outcomes) < goal:
            name = f"{number}-{len(outcomes)}"
            change = Add(client(f"client-{name}")), Add(credential(f"cred-{name}", f"client-{name}"))
            outcomes.append(await store.recorder.record(unit(*change)))

    async def read():
        while len(outcomes) < goal:
            assert await store.deployment.organisation_by_slug(f"slug-{ACME}") is not None

    goal = SOME
    await asyncio.gather(write(1), read())
    goal = 3 * SOME
    await asyncio.gather(write(2), write(3), read(), asyncio.to_thread(grow, place))
    goal = 4 * SOME
    await asyncio.gather(write(4), read())
    assert all(outcome == Recorded() for outcome in outcomes)
    await store.check()
    later = await open_file(place)
    assert await later.registry.find_client("client-1-0") is not None
    for each in (store, later):
        await each.close()
