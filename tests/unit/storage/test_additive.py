"""The rule of migrations, held against each revision: it only adds, and holds no lock for long (RE-04)."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import op
from alembic.config import Config
from alembic.operations import Operations
from alembic.operations.ops import AddColumnOp, BulkInsertOp, CreateIndexOp, CreateTableOp
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from keyturn.storage import migrate

BEFORE_POSTGRESQL = {"0004", "0006"}
"""They index tables that were there; no store on PostgreSQL was ever older than 0007, so none waited."""


def revisions():
    """Load every revision, oldest first."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrate.__file__).parent / "migrations"))
    return [*ScriptDirectory.from_config(config).walk_revisions()][::-1]


def operations(upgrade):
    """Give what a revision does, as Alembic's values; nothing is carried out."""
    seen = []
    options = {"as_sql": True, "output_buffer": io.StringIO()}
    with Operations.context(MigrationContext.configure(dialect_name="postgresql", opts=options)) as writer:
        carry_out = writer.invoke

        def note(operation):
            seen.append(operation)
            return carry_out(operation)

        writer.invoke = note
        upgrade()
    return seen


def complaints(done, *, may_index=False) -> Iterator[str]:
    """Say what in a revision takes something away, breaks an older program, or locks a table for long."""
    fresh = {each.table_name for each in done if isinstance(each, CreateTableOp)}
    for each in done:
        match each:
            case CreateTableOp():
                pass
            case AddColumnOp(table_name=table, column=column) if table not in fresh:
                yield from column_complaints(f"{table}.{column.name}", column)
            case CreateIndexOp(table_name=table) if table not in fresh:
                if each.unique:
                    yield f"{each.index_name}: an older program may write what it forbids"
                elif not may_index:
                    yield f"{each.index_name}: writers of {table} wait while it is built"
            case BulkInsertOp(table=table) if table.name in fresh:
                pass
            case AddColumnOp() | CreateIndexOp():
                pass
            case _:
                yield f"{type(each).__name__}: adds nothing"


def column_complaints(name, column) -> Iterator[str]:
    """Say why an older program, or a full table, cannot live with a new column."""
    default = column.server_default
    if not column.nullable and default is None:
        yield f"{name}: an older program leaves it empty"
    if default is not None and not isinstance(
        default.arg, str | sa.sql.elements.False_ | sa.sql.elements.True_
    ):
        yield f"{name}: a default that is no constant writes every row anew"
    if column.foreign_keys or column.unique or column.index or column.primary_key:
        yield f"{name}: a constraint on a table that is there reads all of it"


@pytest.mark.parametrize("revision", revisions(), ids=lambda revision: revision.revision)
def test_a_revision_only_adds(revision):
    """RE-04: no revision drops, renames, retypes, or asks of older programs what they do not know."""
    may_index = revision.revision in BEFORE_POSTGRESQL
    done = operations(revision.module.upgrade)
    assert done
    assert [*complaints(done, may_index=may_index)] == []


@pytest.mark.parametrize("revision", revisions(), ids=lambda revision: revision.revision)
def test_a_revision_says_what_it_adds(revision):
    """Each revision has one sentence for `keyturn migrate --plan`, and no way back."""
    assert revision.doc.startswith(("Add ", "Make ", "Let "))
    assert revision.doc.endswith(".")
    assert not hasattr(revision.module, "downgrade")


BREAKING = {
    "drop a column": lambda: op.drop_column("client", "name"),
    "drop a table": lambda: op.drop_table("client"),
    "drop an index": lambda: op.drop_index("ix", "client"),
    "rename a table": lambda: op.rename_table("client", "machine"),
    "rename a column": lambda: op.alter_column("client", "name", new_column_name="title"),
    "change a type": lambda: op.alter_column("client", "name", type_=sa.LargeBinary),
    "forbid NULL": lambda: op.alter_column("client", "name", nullable=False),
    "demand a value": lambda: op.add_column("client", sa.Column("x", sa.Text, nullable=False)),
    "compute a default": lambda: op.add_column(
        "client", sa.Column("x", sa.Text, server_default=sa.func.now())
    ),
    "refer": lambda: op.add_column("client", sa.Column("x", sa.Text, sa.ForeignKey("organisation.id"))),
    "constrain": lambda: op.create_unique_constraint("uq", "client", ["name"]),
    "be unique": lambda: op.create_index("ux", "client", ["name"], unique=True),
    "build an index": lambda: op.create_index("ix", "client", ["name"]),
    "run any SQL": lambda: op.execute("UPDATE client SET name = ''"),
    "fill a table": lambda: op.bulk_insert(sa.table("client", sa.column("id", sa.Text)), [{"id": "x"}]),
}


@pytest.mark.parametrize("upgrade", BREAKING.values(), ids=BREAKING)
def test_what_takes_away_is_seen(upgrade):
    """The rule finds each way to break an older program or to lock a table for long."""
    assert len([*complaints(operations(upgrade))]) == 1
