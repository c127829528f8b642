"""Time-ordered identifiers: UUID version 7 (RFC 9562 section 5.7).

Random identifiers make every index insert land on another page; time-ordered ones append.
"""

from datetime import datetime

from keyturn.core.secret import Dice

_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
"""A random hexadecimal digit -> the one that also tells the variant, in its first two bits."""


def uuid7(now: datetime, dice: Dice) -> str:
    """Make a UUIDv7 for an instant, with 74 random bits, in its canonical lower-case form."""
    text = (int(now.timestamp() * 1000).to_bytes(6, "big") + dice(10)).hex()
    return f"{text[:8]}-{text[8:12]}-7{text[13:16]}-{_VARIANT[text[16]]}{text[17:20]}-{text[20:]}"


_BULK_BYTES = 4096


def in_bulk(dice: Dice) -> Dice:
    """Give dice for names, drawn in bulk: a call to the kernel for each costs more than the rest of a name.

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
