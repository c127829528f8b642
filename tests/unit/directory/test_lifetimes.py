"""A lifetime that is set, against the keys that sign what it is for."""

from datetime import UTC, datetime, timedelta

import pytest

from keyturn.core.errors import OperatorError
from keyturn.core.profile import TokenProfile
from keyturn.core.vocabulary import OrganisationId
from keyturn.directory.lifetimes import require_keys_outlive

NOW = datetime(2026, 11, 1, tzinfo=UTC)
PROFILES = (
    TokenProfile(kind="one.badge", dialect="one", lifetime_seconds=60),
    TokenProfile(
        kind="all.badge", dialect="all", lifetime_seconds=60, lifetime_setting="badge", shared_ring="ring"
    ),
    TokenProfile(kind="all.pass", dialect="all", lifetime_seconds=60, shared_ring="ring"),
)


class Keys:
    """Rings whose keys all give way in an hour, and whose they were asked for."""

    def __init__(self):
        """Start with nobody asked for."""
        self.asked = []

    async def unsafe_until(self, issuer_id, now, lifetime):
        """Tell of an hour."""
        self.asked.append(issuer_id)
        return now + timedelta(hours=1) if lifetime > timedelta(hours=1) else None


@pytest.mark.parametrize(
    ("setting", "issuer_id"),
    [("one.lifetime_seconds", "acme"), ("all.badge", "ring"), ("all.lifetime_seconds", "ring")],
)
async def test_keys_of_the_ring_that_signs(setting, issuer_id):
    """TK-14: the keys that are asked are those that sign such tokens, one's own or those of all."""
    keys = Keys()
    await require_keys_outlive(keys, OrganisationId("acme"), PROFILES, setting, "3600", NOW)
    assert keys.asked == [issuer_id]
    with pytest.raises(OperatorError, match="outlive"):
        await require_keys_outlive(keys, OrganisationId("acme"), PROFILES, setting, "3601", NOW)


@pytest.mark.parametrize(
    ("setting", "value"),
    [("all.refresh_lifetime_seconds", "9999"), ("all.badge", None), ("all.badge", "x"), ("badge", "9999")],
)
async def test_other_settings(setting, value):
    """What is no lifetime of a signed token, and what is no number, is nothing to the keys."""
    keys = Keys()
    await require_keys_outlive(keys, OrganisationId("acme"), PROFILES, setting, value, NOW)
    assert keys.asked == []
