"""The words that operators read for each private reason."""

from pathlib import Path

import pytest

import keyturn
from keyturn.core.reasons import MEANINGS, meaning_of
from keyturn.core.vocabulary import Reason

SOURCE = Path(keyturn.__file__).parent
NOT_GIVING = {"core/vocabulary.py", "core/reasons.py"}


def test_every_reason_has_a_meaning():
    """Each reason is explained in sentences: what happened, and what to do."""
    assert set(MEANINGS) == set(Reason)
    for meaning in MEANINGS.values():
        assert meaning.happened.endswith(".")
        assert meaning.remedy.endswith(".")


def test_no_reason_is_dead():
    """Each reason is given somewhere in the source."""
    texts = [
        path.read_text(encoding="utf-8")
        for path in SOURCE.rglob("*.py")
        if path.relative_to(SOURCE).as_posix() not in NOT_GIVING
    ]
    assert [reason for reason in Reason if not any(f"Reason.{reason.name}" in text for text in texts)] == []


@pytest.mark.parametrize("reason", [None, "", "of_a_newer_version"])
def test_no_meaning(reason):
    """A row without a reason, or with one that is not known here, has no meaning."""
    assert meaning_of(reason) is None
