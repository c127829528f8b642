"""A token that was alive is found again only while nothing but time can have changed what it hangs by."""

from datetime import timedelta
from types import MappingProxyType

import msgspec
import pytest

from keyturn.core.life import Life, State
from keyturn.core.vocabulary import ClientId, CredentialId, OrganisationId, OwnerKind
from keyturn.exchange.living import TOKENS_KEPT, KnownTokens, LivingToken
from keyturn.exchange.question import _living
from keyturn.tokens.own import OwnClaim
from keyturn.tokens.verify import VerifiedClaims
from unit.exchange.records import NOW, credential, organisation, view

SOON = NOW + timedelta(minutes=1)


class Memory:
    """A registry and revocations whose memory holds one view, which a test may put another in place of."""

    def __init__(self, held):
        """Hold a view."""
        self.held = held
        self.read = 0
        self.revoked = False
        self.known = KnownTokens()
        self.registry = self.revocations = self
        self.living = self.known

    def remembered_client(self, client_id):
        """Give the view."""
        return self.held if client_id == "client-a" else None

    async def find_client(self, client_id):
        """Give the view, and count."""
        self.read += 1
        return self.remembered_client(client_id)

    def require_fresh(self):
        """Be current."""

    def covers(self, token_id, family_id):
        """Tell whether the token was revoked."""
        return self.revoked


def proved(token_id="t", **own):
    """Make what a genuine token of the client says."""
    members = {
        "kind": "toy.access",
        "organisation_id": OrganisationId("org-a"),
        "credential_id": CredentialId("cred-secret"),
        "epochs": (0, 0, 0),
    }
    return VerifiedClaims(
        key_id="k",
        issuer="i",
        subject="client-a",
        token_id=token_id,
        audiences=("a",),
        issued_at=NOW,
        expires_at=SOON,
        not_before_at=None,
        own=OwnClaim(**(members | own)),
        claims=MappingProxyType({}),
    )


def overlapping():
    """Make a view whose only secret is usable for another minute."""
    return view(credential(life=Life(created_at=NOW, overlap_until=SOON)))


async def test_the_same_token_is_found_again():
    """A second question about a token looks through nothing, and gives the very same answer."""
    memory, token = Memory(view()), proved()
    first = await _living(token, memory, NOW)
    assert first is await _living(token, memory, NOW)
    assert memory.read == 1


async def test_a_revocation_counts_at_once():
    """RV-02: a token that is known is asked about as any other is when it comes to revocations."""
    memory, token = Memory(view()), proved()
    await _living(token, memory, NOW)
    memory.revoked = True
    assert await _living(token, memory, NOW) is None


@pytest.mark.parametrize(
    "later",
    [
        view(organisation=organisation(epoch=1)),
        view(organisation=organisation(disabled=True)),
        view(credential(epoch=1)),
        view(credential(life=Life(created_at=NOW, state=State.ENDED))),
        view(credential("other")),
    ],
)
async def test_a_change_of_the_records_counts_at_once(later):
    """RV-04: once memory holds another view of the client, the token is looked through anew."""
    memory, token = Memory(view()), proved()
    assert await _living(token, memory, NOW) is not None
    memory.held = later
    assert await _living(token, memory, NOW) is None


async def test_what_time_ends_is_ended():
    """An overlap that has passed since the last question ends the token, although no record changed."""
    memory, token = Memory(overlapping()), proved()
    assert await _living(token, memory, NOW) is not None
    assert await _living(token, memory, SOON) is None


@pytest.mark.parametrize(
    "own", [{"owner_kind": OwnerKind.USER}, {"client_id": ClientId("client-b")}, {"credential_id": "gone"}]
)
def test_only_what_hangs_by_one_view_is_kept(own):
    """A token of a user, or one that another client asked for, rests on more than is compared."""
    memory, token = Memory(view()), proved(**own)
    memory.known.keep(LivingToken(token), memory.held)
    assert memory.known.find(token, memory, NOW) is None


async def test_another_token_of_the_same_id_is_another_token():
    """What was kept is given for the very claims that were proved, not for any that name the same id."""
    memory, token = Memory(view()), proved()
    await _living(token, memory, NOW)
    assert memory.known.find(msgspec.structs.replace(token), memory, NOW) is None


def test_memory_is_bounded():
    """However many tokens are asked about, few are kept."""
    memory = Memory(view())
    for number in range(TOKENS_KEPT + 2):
        memory.known.keep(LivingToken(proved(str(number))), memory.held)
    assert len(memory.known._kept) == TOKENS_KEPT
