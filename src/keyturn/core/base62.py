"""Numbers as letters and digits only, so that nothing in a secret needs escaping anywhere.

Four digits at a time: dividing a long number costs the same however many digits come off.
"""

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PAIRS = [first + second for first in _DIGITS for second in _DIGITS]
_TWO, _FOUR = 62**2, 62**4
_NONE = 255
_VALUES = bytes(max(_DIGITS.find(chr(code)), -1) % (_NONE + 1) for code in range(256))
"""A character's code -> its value, or ``_NONE``."""


def encode(number: int, length: int) -> str:
    """Write a number in exactly ``length`` digits, which must be enough."""
    pairs = []
    for _ in range(0, length, 4):
        number, four = divmod(number, _FOUR)
        pairs.append(_PAIRS[four % _TWO])
        pairs.append(_PAIRS[four // _TWO])
    pairs.reverse()
    return "".join(pairs)[-length:]


def decode(text: str) -> int:
    """Read digits back.

    Raises:
        ValueError: One is no base62 digit.
    """
    values = text.rjust(-(-len(text) // 4) * 4, "0").encode("ascii").translate(_VALUES)
    if _NONE in values:
        raise ValueError("no base62 digit")
    number = 0
    for a, b, c, d in zip(values[::4], values[1::4], values[2::4], values[3::4], strict=True):
        number = number * _FOUR + (a * 238_328 + b * _TWO + c * 62 + d)
    return number
