"""Where private keys are: in this process, or in a PKCS#11 token where an operator says so."""

from collections.abc import Callable
from pathlib import Path

import msgspec

from keyturn.core.clock import Clock
from keyturn.core.secret import Dice, Secret
from keyturn.keys.custody import Custody, SoftwareKeys


class TokenPlace(msgspec.Struct, frozen=True):
    """A PKCS#11 token, as settings name it.

    Args:
        module: The library that speaks to it.
        label: What it calls itself.
        pin: None where nobody has typed it: then keys are known but none signs.
        sessions: How many signatures it may make at a time.
        makes_keys: Whether new keys are made in it.
    """

    module: Path
    label: str
    pin: Secret | None
    sessions: int
    makes_keys: bool


def open_custody(place: TokenPlace | None, clock: Clock, dice: Dice) -> tuple[Custody, Callable[[], None]]:
    """Choose where private keys are, and give what lets go of it.

    Raises:
        ConfigError: The token's library is not there.
    """
    software = SoftwareKeys()
    if place is None:
        return software, _nothing
    from keyturn.keys.pkcs11_token import Token
    from keyturn.keys.token_keys import TokenKeys

    opened = Token(place.module, place.label, place.pin, place.sessions, clock)
    return TokenKeys(opened, software, dice, make_here=place.makes_keys), opened.close


def _nothing() -> None:
    """Let go of keys that are nowhere but in memory."""
