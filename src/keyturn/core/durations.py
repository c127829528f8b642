"""Durations as operators write them: ``90s``, ``15m``, ``24h``, ``180d``."""

import re
from datetime import timedelta

from keyturn.core.counting import counted

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_DURATION = re.compile(r"([0-9]{1,9})([smhd])")
LONGEST = timedelta(days=36_500)


def parse_duration(text: str) -> timedelta:
    """Read a whole number and its unit; ``0s`` is a duration.

    Raises:
        ValueError: It is none, or longer than a hundred years.
    """
    found = _DURATION.fullmatch(text)
    duration = timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else None
    if duration is None or duration > LONGEST:
        raise ValueError("a duration such as 90s, 15m, 24h or 180d, at most 36500d")
    return duration


def in_words(duration: timedelta) -> str:
    """Say how long a duration is, in its largest whole unit: ``3 days``."""
    seconds = int(abs(duration).total_seconds())
    for name, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length:
            return counted(seconds // length, name)
    return counted(seconds, "second")
