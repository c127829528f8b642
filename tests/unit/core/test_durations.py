"""Durations, as operators write and read them."""

from datetime import timedelta

import pytest

from keyturn.core.durations import in_words, parse_duration


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("0s", timedelta()),
        ("90s", timedelta(seconds=90)),
        ("15m", timedelta(minutes=15)),
        ("24h", timedelta(days=1)),
        ("180d", timedelta(days=180)),
    ],
)
def test_durations(text, duration):
    """A whole number and a unit is a duration."""
    assert parse_duration(text) == duration


@pytest.mark.parametrize(
    "text", ["", "24", "h", "-1h", "1.5h", "24 h", "1w", "24H", "36501d", "٣h", "1h\n", "9" * 99]
)
def test_no_durations(text):
    """Anything else is refused in words that show what is expected."""
    with pytest.raises(ValueError, match="a duration such as"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("duration", "words"),
    [
        (timedelta(seconds=1), "1 second"),
        (timedelta(seconds=119), "1 minute"),
        (-timedelta(hours=47), "1 day"),
        (timedelta(days=3), "3 days"),
    ],
)
def test_in_words(duration, words):
    """A duration is told in its largest whole unit."""
    assert in_words(duration) == words
