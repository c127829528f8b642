"""Time-based one-time passcodes as every authenticator app makes them: SHA-1, six digits, 30 seconds.

Source: RFC 6238, RFC 4226 section 5.3. Whether a passcode was used before is not known here: whoever accepts
one stores its step, and no step up to that one is accepted again (RFC 6238 section 5.2, PW-06).
"""

import base64
import hmac
from datetime import datetime
from urllib.parse import quote

from keyturn.core.secret import Dice, Secret

SEED_BYTES = 20
"""RFC 4226 section 4, requirement R6; some apps know only this."""
STEP_SECONDS = 30
DIGITS = 6
DRIFT_STEPS = 1
"""How far a device's clock may be off, either way (RFC 6238 section 6)."""


def make_seed(dice: Dice) -> bytes:
    """Make a fresh seed for a device."""
    return dice(SEED_BYTES)


def step_at(now: datetime) -> int:
    """Count the steps since 1970."""
    return int(now.timestamp()) // STEP_SECONDS


def passcode(seed: bytes, step: int) -> str:
    """Give the passcode of a step (RFC 4226 section 5.3)."""
    digest = hmac.digest(seed, step.to_bytes(8, "big"), "sha1")
    offset = digest[-1] & 0x0F
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFF_FFFF
    return f"{number % 10**DIGITS:0{DIGITS}}"


def verify(seed: bytes, code: str, now: datetime, newest_step: int | None) -> int | None:
    """Tell for which step a presented passcode is right.

    Args:
        code: Whatever came: only six ASCII digits can be right.
        now: An aware instant.
        newest_step: The newest step that was accepted from this device; None for none yet.

    Returns:
        The step, to be stored as the newest one; None if the code is wrong, or its step is spent.
    """
    presented = code if len(code) == DIGITS and code.isascii() and code.isdigit() else "-" * DIGITS
    found, current = None, step_at(now)
    # No early end: the time must not tell for which step a code would be right.
    for step in range(current - DRIFT_STEPS, current + DRIFT_STEPS + 1):
        right = hmac.compare_digest(passcode(seed, step), presented)
        if right and (newest_step is None or step > newest_step):
            found = step
    return found


def in_base32(seed: bytes) -> Secret:
    """Write a seed as people type it into an app (RFC 4648 section 6, without padding)."""
    return Secret(base64.b32encode(seed).decode("ascii").rstrip("="))


def from_base32(written: Secret) -> bytes:
    """Read a seed back as ``in_base32`` writes it."""
    text = written.reveal()
    return base64.b32decode(text + "=" * (-len(text) % 8))


def provisioning_uri(seed: Secret, account: str, issuer: str) -> Secret:
    """Give what a QR code for an authenticator app says.

    Args:
        seed: In base32.
        account: Whose it is, for example an e-mail address; shown in the app.
        issuer: Whose service it is for; shown in the app. A colon, which ends it there, is left out.
    """
    name, owner = quote(issuer.replace(":", ""), safe=""), quote(account, safe="@")
    return Secret(
        f"otpauth://totp/{name}:{owner}?secret={seed.reveal()}&issuer={name}"
        f"&algorithm=SHA1&digits={DIGITS}&period={STEP_SECONDS}"
    )
