"""Time-based passcodes."""

import random
from datetime import UTC, datetime, timedelta

import pyotp
import pytest

from keyturn.core import totp

SEED = b"12345678901234567890"
NOW = datetime(2026, 11, 1, 12, 0, 10, tzinfo=UTC)
STEP = totp.step_at(NOW)


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)
def test_vectors(seconds, code):
    """The vectors of RFC 6238, Appendix B, come out, cut to six digits."""
    now = datetime.fromtimestamp(seconds, UTC)
    assert totp.passcode(SEED, totp.step_at(now)) == code
    assert totp.verify(SEED, code, now, None) == seconds // 30


def test_another_library_agrees():
    """Another implementation makes the same passcodes from the same base32 seed, and reads the same URI."""
    seed = totp.make_seed(random.Random(3).randbytes)  # noqa: S311  # a test repeats itself
    other = pyotp.parse_uri(
        totp.provisioning_uri(totp.in_base32(seed), "ann smith@a.example", "A: Corp").reveal()
    )
    assert other.secret == totp.in_base32(seed).reveal()
    assert (other.name, other.issuer, other.digits, other.interval) == (
        "ann smith@a.example",
        "A Corp",
        6,
        30,
    )
    assert all(other.at(30 * step) == totp.passcode(seed, step) for step in range(STEP, STEP + 50))


@pytest.mark.parametrize(("drift", "found"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_drift(drift, found):
    """PW-06: a device may be one step off, either way, and no more."""
    code = totp.passcode(SEED, STEP + drift)
    assert totp.verify(SEED, code, NOW, None) == (STEP + drift if found else None)


def test_an_accepted_step_ends_itself_and_all_before():
    """PW-06: no step up to the newest accepted one is accepted again."""
    codes = {drift: totp.passcode(SEED, STEP + drift) for drift in (-1, 0, 1)}
    assert totp.verify(SEED, codes[0], NOW, STEP) is None
    assert totp.verify(SEED, codes[-1], NOW, STEP) is None
    assert totp.verify(SEED, codes[1], NOW, STEP) == STEP + 1
    assert totp.verify(SEED, codes[1], NOW + timedelta(seconds=30), STEP) == STEP + 1


@pytest.mark.parametrize("spoil", [" {}", "{} ", "{}\n", "+{}", "{}0", "", "\u0661{}", "-00001"])
def test_digits_only(spoil):
    """PW-06: six ASCII digits are a passcode and nothing that reads like them."""
    code = totp.passcode(SEED, STEP)
    assert totp.verify(SEED, spoil.format(code), NOW, None) is None
    assert totp.verify(SEED, code[:5], NOW, None) is None
    assert totp.verify(SEED, code.translate({48 + n: 0x660 + n for n in range(10)}), NOW, None) is None
