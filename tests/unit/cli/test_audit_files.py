"""An export's file where the disk does not take it."""

import resource

import pytest

from keyturn.cli.audit_files import Spelling, writer
from keyturn.core.errors import OperatorError


def test_an_export_that_finds_no_room(tmp_path):
    """An export that cannot be written whole is told of by its name, and no part of it is left."""
    path = tmp_path / "trail.jsonl"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with (
            pytest.raises(OperatorError, match=r"trail.jsonl: File too large"),
            writer(path, Spelling.JSONL) as write,
        ):
            write({"type": "row", "subject": "x" * 1000})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not path.exists()
