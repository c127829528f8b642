"""Time-ordered identifiers: UUID version 7 (RFC 9562 section 5.7).

Random identifiers make every index insert land on another page; time-ordered ones append.
"""

import re
from datetime import UTC, datetime

from keyturn.core.secret import Dice

_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
"""A random hexadecimal digit -> the one that also tells the variant, in its first two bits."""


def uuid7(now: datetime, dice: Dice) -> str:
    """Make a UUIDv7 for an instant, with 74 random bits, in its canonical lower-case form."""
    text = (int(now.timestamp() * 1000).to_bytes(6, "big") + dice(10)).hex()
    return f"{text[:8]}-{text[8:12]}-7{text[13:16]}-{_VARIANT[text[16]]}{text[17:20]}-{text[20:]}"


_UUID7 = re.compile(r"([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_LAST_MS = 253_402_300_799_999
"""The end of the year 9999, as far as a datetime goes."""


def time_of(identifier: str) -> datetime | None:
    """Tell when a UUIDv7 was made, to the millisecond; None where a text is none."""
    found = _UUID7.fullmatch(identifier)
    made_ms = int(found[1] + found[2], 16) if found else _LAST_MS + 1
    return datetime.fromtimestamp(made_ms / 1000, UTC) if made_ms <= _LAST_MS else None


_BULK_BYTES = 4096


def in_bulk(dice: Dice) -> Dice:
    """Give dice for names and nonces, drawn in bulk: a call to the kernel for each would cost most of them.

    Not for secrets, which would lie in memory before they are made; not to be shared by threads or processes.
    """
    drawn, used = b"", 0

    def draw(count: int) -> bytes:
        nonlocal drawn, used
        begin, used = used, used + count
        if used > len(drawn):
            drawn, begin, used = dice(max(count, _BULK_BYTES)), 0, count
        return drawn[begin:used]

    return draw
