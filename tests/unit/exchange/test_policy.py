"""Policy: pure, never wider than what may be had, and never narrower than what was asked."""

from datetime import timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core.errors import InvalidScope, InvalidTarget, Refusal, UnauthorizedClient
from keyturn.core.requests import Authorization, Basis, Earlier
from keyturn.core.vocabulary import (
    CLIENT_CREDENTIALS,
    OFFLINE_ACCESS,
    REFRESH_TOKEN,
    CredentialId,
    GrantType,
    Reason,
)
from keyturn.exchange.policy import cap_lifetime, decide
from unit.exchange.records import PROFILE, client, credential, organisation, proof

SCOPES = st.lists(st.sampled_from(["a", "b", "c", "d", OFFLINE_ACCESS]), unique=True).map(tuple)
AUDIENCES = st.lists(st.sampled_from(["urn:a", "urn:b", "urn:c"]), unique=True, min_size=1).map(tuple)


BASIS = Basis(CredentialId("cred"), (0, 0, 0))


def asked(proven=None, scopes=None, resources=(), grant_type=CLIENT_CREDENTIALS, earlier=None):
    """Ask for a token."""
    return Authorization(
        proof=proven or proof(),
        basis=BASIS,
        earlier=earlier,
        profile=PROFILE,
        grant_type=grant_type,
        subject="client-a",
        scopes=scopes,
        resources=resources,
    )


def test_default():
    """Without wishes a token has all scopes but offline_access, the first audience, the default lifetime."""
    decision = decide(asked())
    assert decision.scopes == ("read", "write")
    assert decision.audiences == ("urn:a",)
    assert decision.lifetime == timedelta(seconds=600)
    assert (decision.subject, decision.grant_type, decision.proof) == (
        "client-a",
        CLIENT_CREDENTIALS,
        proof(),
    )


def test_offline_access_when_named():
    """The scope offline_access is granted to who names it and may have it."""
    assert decide(asked(scopes=("offline_access",))).scopes == ("offline_access",)
    with pytest.raises(InvalidScope):
        decide(asked(proof(client=client(scopes=("read",))), scopes=("offline_access",)))


@pytest.mark.parametrize("grants", [(), (REFRESH_TOKEN,)])
def test_grant(grants):
    """TE-07: a client uses only the grants it is registered for."""
    with pytest.raises(UnauthorizedClient) as caught:
        decide(asked(proof(client=client(grants=grants))))
    assert caught.value.reason is Reason.GRANT_NOT_ALLOWED
    with pytest.raises(UnauthorizedClient):
        decide(asked(grant_type=GrantType("password")))


def test_scope_outside():
    """TE-07: one scope too many refuses all of them."""
    with pytest.raises(InvalidScope) as caught:
        decide(asked(scopes=("read", "admin")))
    assert caught.value.reason is Reason.SCOPE_NOT_ALLOWED
    assert caught.value.about.subject == "client-a"
    assert "admin" not in str(caught.value.description)


def test_resource_outside():
    """TE-07: one resource too many refuses all of them."""
    with pytest.raises(InvalidTarget) as caught:
        decide(asked(resources=("urn:a", "urn:z")))
    assert caught.value.reason is Reason.AUDIENCE_NOT_ALLOWED


def test_lifetime_of_one_kind():
    """Where a dialect has several kinds of tokens, each has a setting of its own."""
    profile = msgspec.structs.replace(PROFILE, lifetime_setting="badge_seconds")
    settings = {"toy": {"lifetime_seconds": 1, "badge_seconds": 7}}
    assert cap_lifetime(profile, client(), organisation(settings=settings)) == timedelta(seconds=7)


@given(
    has=SCOPES,
    narrowed=st.none() | SCOPES,
    wants=st.none() | SCOPES,
    holds=AUDIENCES,
    wishes=AUDIENCES | st.just(()),
)
def test_never_wider(has, narrowed, wants, holds, wishes):
    """TE-07: whatever is asked, a decision is exactly that or a refusal, within client and credential."""
    proven = proof(client=client(scopes=has, audiences=holds), credential=credential(scopes=narrowed))
    wish = asked(proven, scopes=wants, resources=wishes)
    may = [scope for scope in has if narrowed is None or scope in narrowed]
    try:
        decision = decide(wish)
    except Refusal:
        assert not set(wants or ()) <= set(may) or not set(wishes) <= set(holds)
        return
    assert set(decision.scopes) <= set(may)
    assert set(decision.audiences) <= set(holds)
    assert decision.audiences == (wishes or holds[:1])
    assert decision.scopes == (wants if wants is not None else tuple(s for s in may if s != OFFLINE_ACCESS))
    assert decision == decide(wish)


@given(
    default=st.integers(1, 10**6),
    setting=st.none() | st.integers(1, 10**6),
    ceiling=st.none() | st.integers(1, 10**6),
)
def test_lifetime(default, setting, ceiling):
    """The lifetime is the organisation's setting or the profile's default, under the client's own ceiling."""
    settings = {} if setting is None else {"toy": {"lifetime_seconds": setting}}
    lifetime = cap_lifetime(
        msgspec.structs.replace(PROFILE, lifetime_seconds=default),
        client(max_lifetime_seconds=ceiling),
        organisation(settings={"other": {"lifetime_seconds": 1}, **settings}),
    )
    base = min(default if setting is None else setting, PROFILE.max_lifetime_seconds)
    assert lifetime == timedelta(seconds=base if ceiling is None else min(base, ceiling))


@given(
    has=SCOPES,
    granted=SCOPES,
    wants=st.none() | SCOPES,
    holds=AUDIENCES,
    had=AUDIENCES,
    wishes=AUDIENCES | st.just(()),
)
def test_renewal_never_wider(has, granted, wants, holds, had, wishes):
    """RT-04, TE-07: a renewal stays within both the earlier grant and what the client may have today."""
    proven = proof(client=client(scopes=has, audiences=holds))
    earlier = Earlier(granted, had)
    wish = asked(proven, scopes=wants, resources=wishes, grant_type=REFRESH_TOKEN, earlier=earlier)
    both = set(had) & set(holds)
    try:
        decision = decide(wish)
    except Refusal:
        assert not set(wants or ()) <= set(has) & set(granted) or not both or not set(wishes) <= both
        return
    assert set(decision.scopes) <= set(has) & set(granted)
    assert decision.audiences
    assert set(decision.audiences) <= both
    assert not decision.refreshable
