"""Secrets and families that were proved before: whose they are, while nothing of it has changed.

A machine shows the same token all day. Whose it is and where it is good follow from its owner's view alone;
a record that changed makes another view, and what was found in the old one is not found again. What time
changes is looked at each time, and so are the limits. Passwords are never known: guesses are counted.
"""

from datetime import datetime

import msgspec

from keyturn.core.life import Standing
from keyturn.core.ports import Registry
from keyturn.core.records import RefreshFamily
from keyturn.core.requests import Member, Proof, TokenRequest
from keyturn.core.secret_policy import policy_of, standing
from keyturn.core.views import ClientView, EntityView, UserView
from keyturn.core.vocabulary import CredentialKind

KNOWN_KEPT = 4096
"""How many are kept; one more forgets the oldest."""

Words = tuple[object, ...]
"""All that a request says which has to do with what it proves."""
OwnerView = ClientView | UserView | EntityView


class _Known(msgspec.Struct, frozen=True):
    """What was proved, and the view of its owner in which it was found."""

    view: OwnerView
    proof: Proof


class KnownHolders:
    """What was proved to the built-in clients of their contracts, by machines and by renewals."""

    def __init__(self) -> None:
        """Know none."""
        self._kept: dict[Words, _Known] = {}

    async def recall(self, words: Words | None, registry: Registry, now: datetime) -> Proof | None:
        """Give what words prove, if they proved that before and still do; None to find out anew."""
        known = None if words is None else self._kept.get(words)
        if known is None:
            return None
        proof = known.proof
        held, organisation, holder = proof.credential, proof.organisation, proof.holder
        if held is None or await _now(known.view, registry) is not known.view:
            return None
        if isinstance(holder, Member) and held.organisation_id != organisation.id:
            organisation = holder.home
        return proof if standing(held, policy_of(organisation), now) is Standing.GOOD else None

    def keep(self, words: Words | None, view: OwnerView | None, proof: Proof) -> None:
        """Keep what words proved, unless more than themselves had to do with that."""
        if words is None or view is None or proof.spends or proof.notices:
            return
        if len(self._kept) >= KNOWN_KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[words] = _Known(view, proof)


async def _now(then: OwnerView, registry: Registry) -> OwnerView | None:
    """Find an owner's view as it is now."""
    match then:
        case ClientView():
            return await registry.find_client(then.client.id)
        case UserView():
            return await registry.find_user(then.user.id)
        case EntityView():
            return await registry.find_entity(then.entity.id)


def shown_words(request: TokenRequest) -> Words | None:
    """Name what a machine's secret was shown with; None where somebody else must be proved, or more."""
    shown = request.credential
    if shown.kind is CredentialKind.PASSWORD or request.client_table is None or request.passcode is not None:
        return None
    return shown.secret.sha256(), shown.kind, shown.named, shown.owner, *_asked(request)


def renewed_words(request: TokenRequest, family: RefreshFamily) -> Words | None:
    """Name what a family rests on; None where a client of ours must be proved."""
    if request.client_table is None:
        return None
    owner = (family.owner_kind, family.subject, family.organisation_id, family.credential_id)
    return *owner, family.epochs, *_asked(request)


def _asked(request: TokenRequest) -> Words:
    origin = request.origin
    return request.grant_type, origin.dialect, origin.route, request.organisation, request.organisation_alias
