"""Step 3: is the presented credential genuine? Reads only, and makes the one ``Proof``.

Everything that can be wrong here has one public answer; the private reason goes to the audit trail.
"""

import hashlib
from datetime import datetime
from hmac import compare_digest

from keyturn.core.errors import Concern, InvalidClient
from keyturn.core.life import Standing
from keyturn.core.ports import Digester
from keyturn.core.records import ClientView, Credential
from keyturn.core.requests import Located, Proof, TokenRequest
from keyturn.core.vocabulary import Reason

_DECOY_HASH = bytes(32)

_OBJECTIONS = {
    Standing.PENDING: Reason.SECRET_PENDING,
    Standing.DISABLED: Reason.SECRET_DISABLED,
    Standing.EXPIRED: Reason.SECRET_EXPIRED,
    Standing.ENDED: Reason.SECRET_ENDED,
}


def check_credential(request: TokenRequest, located: Located, digester: Digester, now: datetime) -> Proof:
    """Prove that the presented secret is its owner's and that all it rests on is in force now (TE-10).

    An unknown owner costs one digest and one comparison, like a known one with one secret.

    Raises:
        InvalidClient: Whatever is wrong; the same for unknown, wrong, ended, disabled and expired.
    """
    view = located.view
    found = _compare(request, view.credentials if view else (), digester)
    if view is None:
        raise InvalidClient(Reason.UNKNOWN_CLIENT)
    reason = Reason.WRONG_SECRET if found is None else _objection(request.origin.dialect, view, found, now)
    if found is None or reason is not None:
        raise InvalidClient(
            reason or Reason.WRONG_SECRET, about=Concern(view.organisation.id, view.client.id)
        )
    return Proof(view.organisation, view.client, found)


def _compare(request: TokenRequest, held: tuple[Credential, ...], digester: Digester) -> Credential | None:
    """Compare with every credential that is held, in constant time, without stopping at a match."""
    presented = hashlib.sha256(request.credential.secret.reveal().encode()).digest()
    if not held:
        compare_digest(digester.lookup_hash(presented, digester.current_pepper_id), _DECOY_HASH)
    found = None
    for item in held:
        if compare_digest(digester.lookup_hash(presented, item.pepper_id), item.lookup_hash):
            found = item
    return found


def _objection(dialect: str, view: ClientView, credential: Credential, now: datetime) -> Reason | None:
    if not view.organisation.usable:
        return Reason.ORGANISATION_ENDED
    if not view.client.usable:
        return Reason.CLIENT_DISABLED
    if dialect not in view.client.dialects or dialect not in credential.dialects:
        return Reason.WRONG_DIALECT
    return _OBJECTIONS.get(credential.life.standing(now))
