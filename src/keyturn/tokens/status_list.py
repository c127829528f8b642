"""Status lists as tokens name them and as they are published: pure (draft-ietf-oauth-status-list-21).

One bit for each token, 0 for valid and 1 for invalid, eight to the byte from the least significant on,
compressed with ZLIB, in a JWT.
"""

import zlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from keyturn.tokens import base64url

CLAIM = "status"
"""The claim by which a token says where its status is published (section 6.1)."""
HEADER_TYPE = "statuslist+jwt"
MEDIA_TYPE = "application/statuslist+jwt"
_BITS = 8


class StatusBits:
    """The bits of a list while it is made; all 0 at first.

    Args:
        size: How many there are, also of places that nobody has yet: a kept copy tells of those too.
    """

    def __init__(self, size: int) -> None:
        """Begin with a list in which nothing is dead."""
        self._bytes = bytearray(-(-size // _BITS))

    def kill(self, numbers: Iterable[int]) -> None:
        """Set the bits at some places."""
        for number in numbers:
            self._bytes[number // _BITS] |= 1 << number % _BITS

    def compressed(self) -> str:
        """Spell the list as its token has it (section 4.2)."""
        return base64url.encode(zlib.compress(bytes(self._bytes), level=9)).decode("ascii")


def list_claims(
    uri: str, bits: StatusBits, issued_at: datetime, ttl_seconds: int, aggregation_uri: str
) -> dict[str, Any]:
    """Write the claims of a published list (section 5.1).

    Args:
        ttl_seconds: How long a copy may be used before a newer one is asked for. Whoever keeps one between
            here and there may keep it as long, and at twice that it expires for everybody.
    """
    seconds = int(issued_at.timestamp())
    return {
        "sub": uri,
        "iat": seconds,
        "exp": seconds + 2 * ttl_seconds,
        "ttl": ttl_seconds,
        "status_list": {"bits": 1, "lst": bits.compressed(), "aggregation_uri": aggregation_uri},
    }


def place_in(claims: Mapping[str, Any]) -> tuple[str, int] | None:
    """Give the list and the place in it that a genuine token names; None where it names none."""
    status = claims.get(CLAIM)
    if not isinstance(status, dict):
        return None
    named = status["status_list"]
    return str(named["uri"]).rpartition("/")[2], int(named["idx"])
