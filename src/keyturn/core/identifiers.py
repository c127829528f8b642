"""Time-ordered identifiers: UUID version 7 (RFC 9562 section 5.7).

Random identifiers make every index insert land on another page; time-ordered ones append.
"""

from datetime import datetime

from keyturn.core.secret import Dice

_FIXED = (0x7 << 76) | (0x2 << 62)
"""Version and variant."""
_FREE = ~((0xF << 76) | (0x3 << 62))


def uuid7(now: datetime, dice: Dice) -> str:
    """Make a UUIDv7 for an instant, with 74 random bits, in its canonical lower-case form."""
    millis = int(now.timestamp() * 1000)
    text = f"{((millis << 80) | int.from_bytes(dice(10))) & _FREE | _FIXED:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
