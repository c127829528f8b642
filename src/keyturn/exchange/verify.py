"""A token of ours, proved: its signature by the issuer's own keys, its kind, its time. Not whether it lives.

``standing`` asks that. Key sets are imported once for each state of a ring; tokens that were verified are
remembered, and so are those that were made here.
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from keyturn.core.ports import KeyRings
from keyturn.core.profile import TokenProfile
from keyturn.core.records import Organisation
from keyturn.core.secret import Secret
from keyturn.tokens.cache import MadeHere, VerifiedCache
from keyturn.tokens.errors import TokenRejected
from keyturn.tokens.keyset import KeySet
from keyturn.tokens.verify import VerifiedClaims

ISSUERS_KEPT = 20_000
"""Issuers whose keys stay imported; beyond it all are dropped, and imported again as they are asked for."""


class _Issuer(msgspec.Struct, frozen=True):
    """The ``iss`` of some tokens, and the keys that are published for them."""

    name: str
    published: Sequence[dict[str, str]]
    keys: KeySet


class OwnTokens:
    """Verifies tokens that this deployment signed."""

    def __init__(self, rings: KeyRings, public_url: str) -> None:
        """Start with nothing in memory."""
        self._rings = rings
        self._public_url = public_url
        self._made = MadeHere()
        self._verified = VerifiedCache(made=self._made)
        self._issuers: dict[tuple[str, str], _Issuer] = {}

    def note(self, token: Secret) -> None:
        """Remember a token that was made here and is handed out."""
        self._made.note(token)

    async def verify(
        self, token: Secret, profiles: tuple[TokenProfile, ...], organisation: Organisation, now: datetime
    ) -> VerifiedClaims | None:
        """Prove a token of one of some profiles, signed for an organisation; None for anything else.

        Raises:
            Unavailable: The keys cannot be read.
        """
        presented = token.reveal().encode()
        for profile in profiles:
            issuer = await self._issuer(profile, organisation, now)
            try:
                return self._verified.verify(
                    presented,
                    issuer.keys,
                    issuer=issuer.name,
                    audience=None,
                    kind=profile.kind,
                    header_type=profile.header_type,
                    now=now,
                )
            except TokenRejected:
                continue
        return None

    async def _issuer(self, profile: TokenProfile, organisation: Organisation, now: datetime) -> _Issuer:
        """Give the issuer of a profile's tokens in an organisation, whose slug is its own for ever."""
        published = await self._rings.published(profile.shared_ring or organisation.id, now)
        place = profile.kind, organisation.id
        known = self._issuers.get(place)
        if known is not None and known.published == published:
            return known
        name = profile.issuer_for(organisation.slug, self._public_url)
        if len(self._issuers) >= ISSUERS_KEPT:
            self._issuers.clear()
        self._issuers[place] = issuer = _Issuer(name, published, KeySet.from_jwks(published))
        return issuer
