"""The page about storage explains every column there is."""

import re

import pytest

from docs.pages import ROOT
from keyturn.storage import people_schema, upkeep_schema
from keyturn.storage.schema import METADATA

TEXT = (ROOT / "docs" / "storage.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## ([^:\n]+):[^\n]*\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL))


def columns_said(table):
    """Give the columns that the section of a table explains."""
    [section] = [body for names, body in SECTIONS.items() if table in names.split(" and ")]
    said = re.findall(r"^\| (`[^|]+`) \|", section, re.MULTILINE)
    return {name.removeprefix(f"{table}.") for cell in said for name in re.findall(r"`([^`]+)`", cell)}


@pytest.mark.parametrize("table", sorted(METADATA.tables))
def test_every_column_is_explained(table):
    """Each column of each table has its line."""
    missing = {column.name for column in METADATA.tables[table].columns} - columns_said(table)
    assert missing == set()


def test_every_schema_is_seen():
    """Tables of every schema module are among those that are looked at."""
    assert {people_schema.USER.name, upkeep_schema.LEASE.name} <= set(METADATA.tables)
