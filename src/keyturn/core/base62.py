"""Numbers and dice as letters and digits only, so that nothing in a secret needs escaping anywhere.

Many digits at a time: dividing a long number costs the same however many digits come off. Small numbers are
taken apart by arithmetic: a table of pairs is quicker only while nothing pushes it out of the caches.
"""

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_TWO, _THREE, _FOUR, _TWELVE = 62**2, 62**3, 62**4, 62**12
_CODES = _DIGITS.encode().ljust(256)
"""A digit's value -> its code."""
_SCATTERED = bytes(ord(_DIGITS[value % 62]) for value in range(256))
"""A random byte -> the code of a digit."""
_NONE = 255
_VALUES = bytes(max(_DIGITS.find(chr(code)), -1) % (_NONE + 1) for code in range(256))
"""A character's code -> its value, or ``_NONE``."""


def encode(number: int, length: int) -> str:
    """Write a number in exactly ``length`` digits, which must be enough."""
    values: list[int] = []
    while number:
        number, twelve = divmod(number, _TWELVE)
        eight, first = divmod(twelve, _FOUR)
        third, second = divmod(eight, _FOUR)
        for four in (first, second, third):
            values += (four % 62, four // 62 % 62, four // _TWO % 62, four // _THREE)
    values.reverse()
    return bytes(values).translate(_CODES).decode("ascii").rjust(length, "0")[-length:]


def encode_six(number: int) -> str:
    """Write a number below 62**6 in six digits: a checksum, a count."""
    upper, lower = divmod(number, _THREE)
    values = upper // _TWO, upper // 62 % 62, upper % 62, lower // _TWO, lower // 62 % 62, lower % 62
    return bytes(values).translate(_CODES).decode("ascii")


def scatter(random: bytes) -> str:
    """Spell random bytes, a digit of each: worth 5.67 bits, for eight digits are a quarter likelier."""
    return random.translate(_SCATTERED).decode("ascii")


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
        number = number * _FOUR + (a * _THREE + b * _TWO + c * 62 + d)
    return number
