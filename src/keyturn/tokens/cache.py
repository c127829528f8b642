"""Remember tokens that were verified, or made here, so that a signature is not verified at each request."""

import hashlib
from collections import OrderedDict
from datetime import datetime

from keyturn.core.secret import Secret
from keyturn.tokens.keyset import KeySet
from keyturn.tokens.verify import VerifiedClaims, check_time, verify_token

TOKENS_KEPT = 10_000
MADE_KEPT = 10_000
"""Tokens made here that are remembered at least, and twice that at most; 120 bytes each."""


class MadeHere:
    """Which tokens this process made lately, while somebody asks about such: they need no verification.

    Who asks about a token for the first time mostly asks where it was made a moment ago. After each question
    the next tokens are remembered, so that a process that nobody asks pays nothing for it.
    """

    def __init__(self, kept: int = MADE_KEPT) -> None:
        """Remember nothing yet: nobody has asked."""
        self._kept = kept
        self._left = 0
        self._newer: set[bytes] = set()
        self._older: set[bytes] = set()

    def note(self, token: Secret) -> None:
        """Remember a token that was made here, if somebody has asked lately."""
        if not self._left:
            return
        self._left -= 1
        self._newer.add(token.sha256())
        if len(self._newer) >= self._kept:
            self._older, self._newer = self._newer, set()

    def has(self, digest: bytes) -> bool:
        """Tell whether the token with a SHA-256 was made here, as far as that is remembered."""
        self._left = 2 * self._kept
        return digest in self._newer or digest in self._older


class VerifiedCache:
    """A bounded memory of accepted tokens; refused ones are never kept, so strangers cannot fill it.

    Its key is the token's SHA-256 and everything the token was verified against, so that an answer for one
    kind, issuer or audience is never given for another (TK-08). Whether the token was revoked is asked
    elsewhere, at each use.
    """

    def __init__(self, limit: int = TOKENS_KEPT, made: MadeHere | None = None) -> None:
        """Start with nothing in memory.

        Args:
            limit: How many are kept; the one that was not used for longest makes room.
            made: Tells of tokens that need not be verified.
        """
        self._limit = limit
        self._made = made or MadeHere()
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
            token,
            keys,
            issuer=issuer,
            audience=audience,
            kind=kind,
            header_type=header_type,
            now=now,
            genuine=self._made.has(question[0]),
        )
        self._kept[question] = verified
        if len(self._kept) > self._limit:
            self._kept.popitem(last=False)
        return verified
