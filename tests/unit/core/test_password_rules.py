"""What a new password must be."""

import unicodedata

import pytest

from keyturn.core.password_rules import MAX_LENGTH, check_new_password, normal_form

GOOD = "violet otters hum at dusk"


def _problem(password, *, second_factor=False, context=()):
    try:
        check_new_password(password, second_factor=second_factor, context=context)
    except ValueError as error:
        return str(error)
    return None


@pytest.mark.parametrize("length", [15, 64, MAX_LENGTH])
def test_length_alone_is_enough(length):
    """PW-01: 15 characters of any kind are enough, and far more are taken whole."""
    password = "".join(chr(0x4E00 + 7919 * place % 20_000) for place in range(length))
    assert check_new_password(password, second_factor=False) == password


def test_too_short():
    """PW-01: the only factor has 15 characters, and 8 are enough beside a second one."""
    assert "at least 15" in _problem(GOOD[:14])
    assert _problem(GOOD[:8], second_factor=True) is None
    assert "at least 8" in _problem(GOOD[:7], second_factor=True)


def test_too_long_is_refused_and_not_cut():
    """PW-02: a password that is too long is refused whole."""
    assert "at most" in _problem((GOOD * 11)[: MAX_LENGTH + 1])


def test_it_is_counted_and_kept_in_normal_form():
    """PW-02: a password is kept in NFC, and its length is that of its normal form."""
    typed = unicodedata.normalize("NFD", "\u00e9t\u00e9 \u00e0 No\u00ebl, d\u00e9j\u00e0")
    assert check_new_password(typed, second_factor=False) == unicodedata.normalize("NFC", typed)
    assert "at least" in _problem("e\u0301" * 14)


@pytest.mark.parametrize("typed", [f" {GOOD} ", f"{GOOD}\n", f"{GOOD}\u200b", f"{GOOD}\U0001f9a6"])
def test_any_character_is_kept(typed):
    """PW-01: spaces, controls and symbols are part of a password and are not trimmed."""
    assert check_new_password(typed, second_factor=False) == typed


@pytest.mark.parametrize("typed", [f"{GOOD}\x00", f"\ud800{GOOD}"])
def test_what_is_no_character(typed):
    """TE-05: NUL, at which a hash might be cut, and lone surrogates are refused."""
    assert "no NUL" in _problem(typed)


@pytest.mark.parametrize(
    "typed",
    [
        "correcthorsebatterystaple",
        "CorrectHorseBatteryStaple",
        "passwordpassword",
        "PASSWORDpasswordPass",
        "aaaaaaaaaaaaaaaa",
        "abcabcabcabcabcabc",
        "123456789012345678",
        "987654321098765432",
        "abcdefghijklmnopq",
        "qwertyuiopasdfghjkl",
        "\uff50assword\uff50assword",
    ],
)
def test_common_ones(typed):
    """PW-01: listed passwords, repetitions of a short or listed piece and sequences are refused."""
    assert "everybody tries" in _problem(typed)


@pytest.mark.parametrize("typed", ["iloveyou", "password1", "11223344", "Trustno1"])
def test_common_short_ones(typed):
    """PW-01: beside a second factor the list holds too."""
    assert "everybody tries" in _problem(typed, second_factor=True)


@pytest.mark.parametrize(
    "typed",
    ["ann.smith@acme.example", "AnnSmith-AcmeCorp!", "acmecorpacmecorp1", "smith.ann.smith.ann"],
)
def test_context_words(typed):
    """PW-01: names of the user and the organisation with little more are refused."""
    context = ("Ann.Smith", "ann.smith@acme.example", "AcmeCorp")
    assert "names of its user" in _problem(typed, context=context)


def test_context_words_beside_enough_else():
    """PW-01: a long password that happens to hold such a name is good."""
    assert _problem(f"{GOOD} smith", context=("Ann.Smith", "keyturn")) is None
    assert _problem(GOOD, context=("at", "dusk", "a")) is None


def test_normal_form_changes_nothing_else():
    """PW-02: the normal form is NFC: no trimming, no folding of case or width."""
    assert normal_form(" \uff21\ufb01 ") == " \uff21\ufb01 "
