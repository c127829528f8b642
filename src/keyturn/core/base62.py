"""Numbers as letters and digits only, so that nothing in a secret needs escaping anywhere."""

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_VALUES = {digit: value for value, digit in enumerate(_DIGITS)}


def encode(number: int, length: int) -> str:
    """Write a number in exactly ``length`` digits, which must be enough."""
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))


def decode(text: str) -> int:
    """Read digits back.

    Raises:
        KeyError: One is no base62 digit.
    """
    number = 0
    for digit in text:
        number = number * 62 + _VALUES[digit]
    return number
