"""Refuses a lifetime with which a token could outlive the key that signs it (TK-14)."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Protocol

from keyturn.core.errors import Clash
from keyturn.core.profile import TokenProfile
from keyturn.core.vocabulary import OrganisationId

_MOST_DIGITS = 9


class KeyLives(Protocol):
    """What is asked of the rings."""

    async def unsafe_until(self, issuer_id: str, now: datetime, lifetime: timedelta) -> datetime | None:
        """Tell until when a token of some lifetime could outlive an issuer's key; None if none could."""
        ...


async def require_keys_outlive(
    rings: KeyLives,
    organisation_id: OrganisationId,
    profiles: Iterable[TokenProfile],
    setting: str,
    value: str | None,
    now: datetime,
) -> None:
    """Let a lifetime setting pass if every key that still signs stays published for so long.

    Whether the setting exists and may have the value is for whoever sets it to say.

    Args:
        organisation_id: Whose setting it is, and whose own keys sign unless all share a ring.
        profiles: Every kind of token there is.
        setting: ``<dialect>.<name>``.

    Raises:
        OperatorError: A key that gives way soon would retire too early.
    """
    if value is None or not value.isdigit() or len(value) > _MOST_DIGITS:
        return
    signing = {
        profile.shared_ring or organisation_id
        for profile in profiles
        if setting == f"{profile.dialect}.{profile.lifetime_setting}"
    }
    for issuer_id in sorted(signing):
        until = await rings.unsafe_until(issuer_id, now, timedelta(seconds=int(value)))
        if until is not None:
            raise Clash(
                f"tokens of {value} s could outlive the key that signs until {until.isoformat()}; "
                "wait for that"
            )
