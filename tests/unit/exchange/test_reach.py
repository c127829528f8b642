"""A client that names an organisation beside its credential: its own passes, any other is out of reach."""

import pytest

from keyturn.core.errors import InsufficientScope
from keyturn.exchange.reach import require_own_organisation
from unit.exchange.records import organisation, proof


class Registry:
    """A registry of two organisations by their aliases."""

    async def find_organisation_alias(self, alias):
        """Find one by id or API key."""
        known = (organisation(), organisation(id="org-b", api_key="b"))
        return next((each for each in known if alias in {each.id, each.api_key}), None)


@pytest.mark.parametrize("alias", [None, "org-a", "k"])
async def test_own(alias):
    """The client's own organisation may be named by its id or API key, or not at all."""
    await require_own_organisation(alias, proof(), Registry())


@pytest.mark.parametrize("alias", ["org-b", "b", "nowhere", ""])
async def test_others(alias):
    """TN-02: another organisation and one that is not there are the same refusal."""
    with pytest.raises(InsufficientScope) as caught:
        await require_own_organisation(alias, proof(), Registry())
    assert caught.value.description == "not allowed for this organisation"
