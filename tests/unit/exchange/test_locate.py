"""Locate finds the one client that a request names, and refuses nothing."""

import pytest

from keyturn.exchange.locate import FROM_MEMORY, locate
from unit.exchange.records import presented, view


class Registry:
    """A registry of one client, which remembers what it was asked."""

    def __init__(self):
        """Start with no questions."""
        self.asked = []
        self.read = []

    def remembered_client(self, client_id):
        """Know the client from before."""
        self.asked.append(client_id)
        return view() if client_id == "client-a" else None

    async def find_client(self, client_id):
        """Read the store, where no other client is."""
        self.read.append(client_id)


@pytest.mark.parametrize("organisation", [None, "acme"])
async def test_found(organisation):
    """A client is found by its id, whether or not the path names its organisation."""
    located = await locate(presented(), organisation, Registry())
    assert located.view == view()


@pytest.mark.parametrize("organisation", ["globex", "", "ACME", "org-a"])
async def test_other_organisation(organisation):
    """TN-01: a path that names another organisation finds nothing, after the same look-up."""
    registry = Registry()
    assert (await locate(presented(), organisation, registry)).view is None
    assert registry.asked == ["client-a"]


@pytest.mark.parametrize("owner", ["nobody", "", None])
async def test_unknown(owner):
    """TE-09: an unknown client costs one read of the store, and is no refusal here."""
    registry = Registry()
    assert (await locate(presented(owner=owner), None, registry)).view is None
    assert len(registry.read) == 1


@pytest.mark.parametrize(
    ("owner", "organisation", "expected"),
    [("client-a", "acme", True), ("client-a", "globex", True), ("nobody", "acme", False)],
)
async def test_what_memory_answered_is_told(owner, organisation, expected):
    """TE-09: the desk learns who was found without a read, another organisation's client included."""
    FROM_MEMORY.set(not expected)
    await locate(presented(owner=owner), organisation, Registry())
    assert FROM_MEMORY.get() is expected
