"""The end of an organisation with people in it (TN-05): what is erased, and what other organisations keep."""

import secrets

import pytest

from contract.people_kit import (
    api_token,
    entity,
    keep,
    membership,
    project,
    settle,
    settle_abroad,
    team,
    user,
)
from contract.store_kit import ACME, BETA, NOW, open_file
from harness import ACTOR
from keyturn.core.vocabulary import CredentialKind
from keyturn.directory.deletion import delete_organisation

SIGN = "Lovelace"
"""In everything that was a person's, or chosen by one, in the organisation that ends."""


@pytest.fixture
async def store(tmp_path):
    """A store on disk with a person in two organisations, and somebody from elsewhere in the first."""
    made = await open_file(tmp_path / "keyturn.db")
    await settle(made)
    await settle_abroad(made)
    ada = user(
        "ada",
        name=f"ada.{SIGN}",
        display_name=f"Ada {SIGN}",
        email=f"ada@{SIGN}.example",
        given_name=f"A. {SIGN}",
        family_name=SIGN,
    )
    secret = {"owner_id": "ada", "verifier": f"$argon2id${SIGN}", "sealed": SIGN.encode()}
    await keep(
        made,
        ada,
        membership("of-ada", "ada", roles=(f"x:{SIGN}",)),
        api_token("password", kind=CredentialKind.PASSWORD, **secret),
        team(name=f"Team {SIGN}"),
        project(name=f"Project {SIGN}", teams=("team-1",)),
        entity("AA-1", name=SIGN, users=("ada",)),
        user("guest", BETA),
        membership("of-guest", "guest"),
        membership("of-guest-at-home", "guest", BETA),
        api_token("token-of-guest", "guest"),
    )
    yield made
    await made.close()


async def delete(store, **settings):
    """Delete the first organisation."""
    slug = "slug-org-acme"
    return await delete_organisation(
        ACTOR, store.deployment, slug, now=NOW, dice=secrets.token_bytes, **settings
    )


def in_files(tmp_path, text):
    """Tell whether any file of the store holds a text."""
    return any(text.encode() in each.read_bytes() for each in tmp_path.iterdir())


async def test_nothing_of_a_person_is_left(store, tmp_path):
    """TN-05: names, addresses, hashes and seeds of its people are in no record and in no file any more."""
    assert in_files(tmp_path, SIGN)
    deleted = await delete(store, batch=3)
    assert deleted.wiped
    assert not in_files(tmp_path, SIGN)
    own = store.deployment.organisation_store(ACME)
    assert await own.leftovers(100) == []
    assert await own.memberships() == await own.teams() == await own.projects() == []
    kept = [*await own.users(), *await own.entities()]
    assert {each.id for each in kept} == {"user-1", "ada", "AA-1", "FIU-SIMULATOR"}
    assert all(each.name == "" and not each.usable for each in kept)


async def test_nobody_of_it_is_found_or_usable(store):
    """TN-05, RV-04: its people are found by no name; what they had elsewhere leads to nobody usable."""
    for erase in (False, True):
        if erase:
            await delete(store)
        found = await store.registry.find_user_by_email("user-1@example.org")
        assert (found is None) is erase
        assert (await store.registry.find_user_at_home(ACME, "ada.user-1") is None) is erase
        held = await store.registry.find_held([b"hash of token-2"])
        assert (held.credential.organisation_id, held.owner.user.usable) == (BETA, not erase)
        assert held.owner.home.usable is not erase
    (there,) = held.owner.memberships
    assert (there.id, there.user_id) == ("member-2", "user-1")


async def test_who_is_at_home_elsewhere_stays(store):
    """TN-05: a member from elsewhere loses the membership and the tokens made here, and nothing else."""
    await delete(store)
    view = await store.registry.find_user("guest")
    assert view.user == user("guest", BETA)
    assert [each.id for each in view.memberships] == ["of-guest-at-home"]
    [token] = view.credentials
    assert (token.name, token.life.ended_at) == ("", NOW)
