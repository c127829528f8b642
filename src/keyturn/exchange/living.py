"""Tokens that were alive when somebody asked, kept for the next question about the same one.

A resource server asks about a token at each call that it serves. What a client's token hangs by was found to
be in force and young enough; as long as memory holds the very same records, only time and a revocation can
have changed that, and what is to be said of the token stays the same.
"""

from datetime import datetime

from keyturn.core.lasting import LastingFacts
from keyturn.core.ports import Registry
from keyturn.core.records import Credential
from keyturn.core.views import ClientView
from keyturn.core.vocabulary import ClientId, OwnerKind
from keyturn.exchange.standing import is_living
from keyturn.tokens.verify import VerifiedClaims

TOKENS_KEPT = 4096
"""How many are kept; one more forgets the oldest."""


class LivingToken:
    """An access token that is good now.

    Args:
        client_id: Whose it is to revoke; None where only a contract's built-in client had part in it.

    ``facts`` is what introspection says of it, once it was asked; kept only with what is found here again.
    """

    __slots__ = ("client_id", "facts", "verified")

    def __init__(self, verified: VerifiedClaims) -> None:
        """Take what was proved."""
        own = verified.own
        subject = ClientId(verified.subject) if own.owner_kind is OwnerKind.CLIENT else None
        self.client_id = own.client_id or subject
        self.verified = verified
        self.facts: LastingFacts | None = None


class _Known:
    """A token, and the records that it was found to rest on."""

    __slots__ = ("credential", "token", "view")

    def __init__(self, token: LivingToken, view: ClientView, credential: Credential) -> None:
        self.token = token
        self.view = view
        self.credential = credential


class KnownTokens:
    """The living tokens of clients that asked in their own name, by their ids."""

    def __init__(self) -> None:
        """Know none."""
        self._kept: dict[str, _Known] = {}

    def find(self, verified: VerifiedClaims, registry: Registry, now: datetime) -> LivingToken | None:
        """Give a token that is alive if nobody has revoked it, because all it rests on is as it was."""
        known = self._kept.get(verified.token_id)
        if known is None or known.token.verified is not verified:
            return None
        if registry.remembered_client(ClientId(verified.subject)) is not known.view:
            return None
        return known.token if is_living(known.credential, now) else None

    def keep(self, token: LivingToken, view: ClientView | None) -> None:
        """Keep a token that was just found alive, if all that it rests on is in a client's view."""
        own = token.verified.own
        if view is None or own.owner_kind is not OwnerKind.CLIENT or own.client_id is not None:
            return
        credential = next((each for each in view.credentials if each.id == own.credential_id), None)
        if credential is None:
            return
        if len(self._kept) >= TOKENS_KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[token.verified.token_id] = _Known(token, view, credential)
