"""What somebody is granted for certain words, kept for the next request with the same.

Machines ask for the same thing all day. Policy is pure, so what it decides from the same records and words is
the same decision, and so is all that follows from it alone. Credential, limits and life are checked before,
each time; a record that changed is another value, and what was decided from the old one is not found again.
"""

from typing import Any

import msgspec

from keyturn.core.changes import Change
from keyturn.core.lasting import Spelling
from keyturn.core.records import Entity, RefreshFamily
from keyturn.core.requests import Decision, Member, Proof, TokenRequest
from keyturn.core.vocabulary import CHANGE_ORGANISATION

TERMS_KEPT = 10_000
"""How many are kept, two kilobytes each; one more forgets the oldest."""

_Words = tuple[object, ...]


class Draft(msgspec.Struct, frozen=True):
    """What all tokens of one decision have in common.

    Args:
        facts: All that their claims and the answers show, but what differs.
        begun: Their claims as JSON, as far as the times; None where the contract's own show what differs.
        ended: The claims after that.
        of_family: Those of a token of a refresh family, as far as the family's id and after it.
        spelling: How the answers that bring them are written.
    """

    decision: Decision
    facts: dict[str, Any]
    begun: bytes | None
    ended: bytes
    of_family: tuple[bytes, bytes]
    spelling: Spelling = msgspec.field(default_factory=Spelling)


class Terms(msgspec.Struct, frozen=True):
    """A decision and what follows from it alone; of no refresh family yet, for each has a name of its own.

    Args:
        draft: What its tokens have in common.
        rests_on: What must still be so when a token is recorded.
        notes: What is recorded of each beside that.
        actor: As the audit trail names who acts.
        details: What the audit trail says of each.
    """

    decision: Decision
    draft: Draft
    rests_on: tuple[Change, ...]
    notes: tuple[Change, ...]
    actor: str
    details: dict[str, str]


class KnownTerms:
    """The terms of those who asked before and of the families that were renewed."""

    def __init__(self) -> None:
        """Know none."""
        self._kept: dict[_Words, Terms] = {}

    def find(self, request: TokenRequest, proof: Proof, family: RefreshFamily | None = None) -> Terms | None:
        """Give the terms of a request's words, if all that was proved is as it was when they were made.

        Args:
            family: That is renewed.
        """
        terms = self._kept.get(_words(request, proof, family))
        if terms is None or proof.spends:
            return None
        then = terms.decision.proof
        same = (
            then.credential is proof.credential
            and then.organisation is proof.organisation
            # A built-in client is a value of its contract's table, made each time.
            and (then.client is proof.client or (proof.client.built_in and then.client == proof.client))
            and (then.holder is proof.holder or _same_holder(then.holder, proof.holder))
        )
        return terms if same else None

    def keep(self, request: TokenRequest, terms: Terms, family: RefreshFamily | None = None) -> None:
        """Keep terms for the next request with the same words, unless they rest on more than these say."""
        decision = terms.decision
        if request.grant_type == CHANGE_ORGANISATION or decision.proof.spends:
            return
        if len(self._kept) >= TERMS_KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[_words(request, decision.proof, family)] = terms


def _same_holder(then: Member | Entity | None, now: Member | Entity | None) -> bool:
    if isinstance(then, Member) and isinstance(now, Member):
        return then.user is now.user and then.membership is now.membership and then.home is now.home
    return False


def _words(request: TokenRequest, proof: Proof, family: RefreshFamily | None) -> _Words:
    """Name all that grants and policy look at, and what the audit trail says of the request.

    The route says which built-in client's table there is.
    """
    origin, held = request.origin, proof.credential
    granted = None
    if family is not None:
        granted = (
            family.subject,
            family.credential_id,
            family.epochs,
            family.scopes,
            family.audiences,
        )
    return (
        proof.client.id,
        proof.organisation.id,
        proof.notices,
        granted,
        None if held is None else held.id,
        request.profile.kind,
        request.grant_type,
        request.scopes,
        request.resources,
        origin.dialect,
        origin.route,
        origin.deprecated,
    )
