"""Base62: what is written is read back, digit by digit as the alphabet says."""

import pytest

from keyturn.core.base62 import decode, encode


@pytest.mark.parametrize("length", [1, 2, 3, 4, 6, 43, 53, 92])
def test_digits(length):
    """Every length of a secret keeps its smallest and its largest number, and those between."""
    for number in (0, 1, 61, 62**length - 1, 62**length // 3):
        text = encode(number % 62**length, length)
        assert len(text) == length
        assert decode(text) == number % 62**length


def test_alphabet():
    """Digits come before capitals, capitals before small letters, the weightiest first."""
    assert encode(10 * 62**4 + 36 * 62**3 + 9 * 62**2 + 61 * 62 + 35, 5) == "Aa9zZ"


@pytest.mark.parametrize("text", ["a b", "-", "a_bc", "0\x00"])
def test_no_digit(text):
    """A character that is no digit is not read as one."""
    with pytest.raises(ValueError, match="digit"):
        decode(text)
