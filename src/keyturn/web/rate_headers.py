"""What a caller is told of its limits: draft-ietf-httpapi-ratelimit-headers-10, sections 3 and 4.

``RateLimit-Policy: "client";q=600;w=60`` names the tightest of the counters that applied and its requests a
minute; ``RateLimit: "client";r=42;t=1`` how many could come at once now, and in how many seconds one more.
"""

from collections.abc import Mapping

from keyturn.core.limits import Rate, Taken
from keyturn.wire.http import Headers


class RateHeaders:
    """Writes the two headers; all but two numbers is encoded once."""

    def __init__(self, rates: Mapping[str, Rate]) -> None:
        """Encode each policy."""
        self._parts = {
            kind: (
                (b"ratelimit-policy", b'"%b";q=%d;w=60' % (kind.encode(), rate.per_minute)),
                b'"%b";r=%%d;t=%%d' % kind.encode(),
            )
            for kind, rate in rates.items()
        }

    def of(self, taken: Taken) -> Headers:
        """Give the headers for what the limits said of a request."""
        policy, limit = self._parts[taken.kind]
        return policy, (b"ratelimit", limit % (taken.remaining, taken.retry_after))
