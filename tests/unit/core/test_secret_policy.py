"""What an organisation demands of its credentials, and that a policy only ever takes away."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core.life import Life, Standing, State
from keyturn.core.records import Credential, Organisation
from keyturn.core.secret_policy import NO_POLICY, SecretPolicy, expires_at, is_dormant, policy_of, standing
from keyturn.core.vocabulary import CredentialId, CredentialKind, OrganisationId

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def credential(kind=CredentialKind.CLIENT_SECRET, life=None, **fields):
    """Make a credential that was made now."""
    return Credential(
        id=CredentialId("c"),
        kind=kind,
        owner_id="o",
        organisation_id=OrganisationId("a"),
        name="n",
        life=life or Life(created_at=NOW),
        dialects=("oauth2",),
        lookup_hash=b"h",
        pepper_id="p",
        **fields,
    )


def test_policy_of():
    """A policy is read from the settings as they are kept, and is none where nothing is set."""
    organisation = Organisation(id=OrganisationId("a"), slug="a", name="A", api_key="k", created_at=NOW)
    assert policy_of(organisation) is NO_POLICY
    kept = {"policy": {"max_secret_days": 9, "secrets_made_before": "2026-01-31"}}
    organisation = Organisation(
        id=OrganisationId("a"), slug="a", name="A", api_key="k", created_at=NOW, settings=kept
    )
    assert policy_of(organisation) == SecretPolicy(max_secret_days=9, secrets_made_before=date(2026, 1, 31))


def test_longest_life():
    """A secret that was made before the policy is refused from its very instant on (TK-09)."""
    policy, made = SecretPolicy(max_secret_days=10), credential()
    assert expires_at(made, policy) == NOW + 10 * DAY
    assert standing(made, policy, NOW + 10 * DAY - timedelta(microseconds=1)) is Standing.GOOD
    assert standing(made, policy, NOW + 10 * DAY) is Standing.EXPIRED
    sooner = credential(life=Life(created_at=NOW, expires_at=NOW + DAY))
    assert expires_at(sooner, policy) == NOW + DAY
    assert expires_at(credential(CredentialKind.PUBLIC_KEY), policy) is None


def test_forced_expiry():
    """What was made before a day is refused, what was made on it is not."""
    made = credential()
    assert standing(made, SecretPolicy(secrets_made_before=NOW.date()), NOW) is Standing.GOOD
    assert standing(made, SecretPolicy(secrets_made_before=NOW.date() + DAY), NOW) is Standing.EXPIRED


@pytest.mark.parametrize(
    ("fields", "days", "dormant"),
    [
        ({}, 30, False),
        ({}, 31, True),
        ({"last_used_on": date(2026, 11, 2)}, 31, False),
        ({"last_used_on": date(2026, 11, 2)}, 32, True),
        ({"woken_on": date(2026, 11, 3)}, 32, False),
        ({"woken_on": date(2026, 11, 3), "last_used_on": date(2026, 11, 2)}, 33, True),
    ],
)
def test_dormancy(fields, days, dormant):
    """Dormancy counts from the last of making, use and waking, in whole days."""
    policy = SecretPolicy(dormant_after_days=30)
    found = credential(**fields)
    assert is_dormant(found, policy, NOW + days * DAY) is dormant
    assert standing(found, policy, NOW + days * DAY) is (Standing.DORMANT if dormant else Standing.GOOD)


@given(
    state=st.sampled_from(State),
    disabled=st.booleans(),
    ends=st.none() | st.integers(-9, 9),
    until=st.none() | st.integers(-9, 9),
    policy=st.builds(
        SecretPolicy,
        max_secret_days=st.none() | st.integers(1, 20),
        dormant_after_days=st.none() | st.integers(1, 20),
        secrets_made_before=st.none() | st.dates(date(2026, 10, 1), date(2026, 12, 1)),
    ),
    days=st.integers(0, 30),
)
def test_a_policy_only_takes_away(state, disabled, ends, until, policy, days):
    """What a life refuses no policy allows, and it keeps the life's own reason."""
    life = Life(
        created_at=NOW,
        state=state,
        disabled=disabled,
        expires_at=None if ends is None else NOW + ends * DAY,
        overlap_until=None if until is None else NOW + until * DAY,
    )
    now = NOW + days * DAY
    by_life = life.standing(now)
    found = standing(credential(life=life), policy, now)
    assert found is by_life or (by_life is Standing.GOOD and found in {Standing.EXPIRED, Standing.DORMANT})
