"""A token of ours, proved: its signature by the issuer's own keys, its kind, its time. Not whether it lives.

``standing`` asks that. Key sets are imported once for each state of a ring, verified tokens are remembered.
"""

from collections.abc import Sequence
from datetime import datetime

from keyturn.core.ports import KeyRings
from keyturn.core.profile import TokenProfile
from keyturn.core.records import Organisation
from keyturn.core.secret import Secret
from keyturn.tokens.cache import VerifiedCache
from keyturn.tokens.errors import TokenRejected
from keyturn.tokens.keyset import KeySet
from keyturn.tokens.verify import VerifiedClaims

KEY_SETS_KEPT = 20_000
"""Issuers whose keys stay imported; beyond it all are dropped, and imported again as they are asked for."""


class OwnTokens:
    """Verifies tokens that this deployment signed."""

    def __init__(self, rings: KeyRings, public_url: str) -> None:
        """Start with nothing in memory."""
        self._rings = rings
        self._public_url = public_url
        self._verified = VerifiedCache()
        self._key_sets: dict[str, tuple[Sequence[dict[str, str]], KeySet]] = {}

    async def verify(
        self, token: Secret, profiles: tuple[TokenProfile, ...], organisation: Organisation, now: datetime
    ) -> VerifiedClaims | None:
        """Prove a token of one of some profiles, signed for an organisation; None for anything else.

        Raises:
            Unavailable: The keys cannot be read.
        """
        presented = token.reveal().encode()
        for profile in profiles:
            keys = await self._keys(profile.shared_ring or organisation.id, now)
            try:
                return self._verified.verify(
                    presented,
                    keys,
                    issuer=profile.issuer_for(organisation.slug, self._public_url),
                    audience=None,
                    kind=profile.kind,
                    header_type=profile.header_type,
                    now=now,
                )
            except TokenRejected:
                continue
        return None

    async def _keys(self, issuer_id: str, now: datetime) -> KeySet:
        published = await self._rings.published(issuer_id, now)
        known = self._key_sets.get(issuer_id)
        if known is not None and known[0] == published:
            return known[1]
        keys = KeySet.from_jwks(published)
        if len(self._key_sets) >= KEY_SETS_KEPT:
            self._key_sets.clear()
        self._key_sets[issuer_id] = (published, keys)
        return keys
