"""Remember verified tokens, so that a token costs its signature once and not at each request."""

import hashlib
from collections import OrderedDict
from datetime import datetime

from keyturn.tokens.keyset import KeySet
from keyturn.tokens.verify import VerifiedClaims, check_time, verify_token

TOKENS_KEPT = 10_000


class VerifiedCache:
    """A bounded memory of accepted tokens; refused ones are never kept, so strangers cannot fill it.

    Its key is the token's SHA-256 and everything the token was verified against, so that an answer for one
    kind, issuer or audience is never given for another (TK-08). Whether the token was revoked is asked
    elsewhere, at each use.
    """

    def __init__(self, limit: int = TOKENS_KEPT) -> None:
        """Keep at most ``limit`` tokens; the one that was not used for longest makes room."""
        self._limit = limit
        self._kept: OrderedDict[tuple[bytes, str, str, str | None, str], VerifiedClaims] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def verify(
        self,
        token: bytes,
        keys: KeySet,
        *,
        issuer: str,
        audience: str | None,
        kind: str,
        header_type: str,
        now: datetime,
    ) -> VerifiedClaims:
        """Do as ``verify_token`` does, from memory where the same question was answered before.

        Raises:
            TokenRejected: The token is not accepted, or is no longer.
        """
        question = (hashlib.sha256(token).digest(), kind, issuer, audience, header_type)
        known = self._kept.get(question)
        if known is not None and known.key_id in keys.ids:  # a key that left the set takes its tokens along
            check_time(known, now)
            self._kept.move_to_end(question)
            return known
        verified = verify_token(
            token, keys, issuer=issuer, audience=audience, kind=kind, header_type=header_type, now=now
        )
        self._kept[question] = verified
        if len(self._kept) > self._limit:
            self._kept.popitem(last=False)
        return verified
