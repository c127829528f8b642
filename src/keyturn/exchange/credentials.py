"""Step 3: is the presented credential genuine? Reads only, and makes the one ``Proof``.

Everything that can be wrong with a client has one public answer; the private reason goes to the audit trail.
"""

from collections.abc import Sequence
from datetime import datetime
from hmac import compare_digest

import msgspec

from keyturn.core.changes import Change
from keyturn.core.errors import Concern, InvalidClient, InvalidGrant
from keyturn.core.life import Standing
from keyturn.core.ports import Digester
from keyturn.core.records import Credential, Organisation, RefreshFamily
from keyturn.core.refresh_token import RefreshToken
from keyturn.core.requests import Asker, Located, PresentedCredential, Proof
from keyturn.core.secret import Secret
from keyturn.core.secret_policy import SecretPolicy, policy_of, standing
from keyturn.core.views import ClientView
from keyturn.core.vocabulary import CredentialKind, Reason
from keyturn.exchange.assertions import prove_assertion
from keyturn.exchange.slow import Recognised

_DECOY_HASH = bytes(32)

_OBJECTIONS = {
    Standing.PENDING: Reason.SECRET_PENDING,
    Standing.DISABLED: Reason.SECRET_DISABLED,
    Standing.EXPIRED: Reason.SECRET_EXPIRED,
    Standing.DORMANT: Reason.SECRET_DORMANT,
    Standing.ENDED: Reason.SECRET_ENDED,
}


def check_client(
    presented: PresentedCredential,
    located: Located,
    dialect: str,
    digester: Digester,
    now: datetime,
    audiences: Sequence[str] = (),
    slow: Recognised | None = None,
) -> Proof:
    """Prove that a client is who it claims and that all it rests on is in force now (TE-10).

    Of what it proves ``recall_client`` may tell the next time.

    An unknown client costs one digest and one comparison, or one signature, like a known one with one secret
    or key.

    Args:
        audiences: What a signed assertion may name as its audience.
        slow: What was presented, if it is under a slow hash (``slow``).

    Raises:
        InvalidClient: Whatever is wrong; the same for unknown, wrong, ended, disabled and expired.
    """
    view = located.view
    proof = _prove_anew(presented, view, digester, dialect, now, audiences, slow)
    found = proof.credential
    if found is not None:
        reason = credential_objection(dialect, found, proof.organisation, now)
        if reason is not None:
            raise InvalidClient(reason, about=Concern(proof.organisation.id, proof.client.id))
        if view is not None and presented.kind is CredentialKind.CLIENT_SECRET and slow is None:
            policy = policy_of(proof.organisation)
            presented.secret.proved = _Proved(proof, found, policy, presented.kind, view, dialect, digester)
    return proof


class _Proved(msgspec.Struct, frozen=True):
    """What a secret was found to prove, and what it was compared with: values, each its own for ever.

    Whoever keeps a secret keeps this as long and no longer: a connection, with the head that it came in.
    """

    proof: Proof
    credential: Credential
    policy: SecretPolicy
    kind: CredentialKind
    view: ClientView
    dialect: str
    digester: Digester


def recall_client(
    presented: PresentedCredential,
    view: ClientView | None,
    dialect: str,
    digester: Digester,
    now: datetime,
) -> Proof | None:
    """Give what a secret proved before, if all but time is as it was and time has not changed it either.

    None to find out anew, and so to refuse with the reason: what memory has never refuses.
    """
    known = presented.secret.proved
    if (
        not isinstance(known, _Proved)
        or known.view is not view
        or known.kind is not presented.kind
        or known.dialect != dialect
        or known.digester is not digester
        or standing(known.credential, known.policy, now) in _OBJECTIONS
    ):
        return None
    return known.proof


def _prove_anew(
    presented: PresentedCredential,
    view: ClientView | None,
    digester: Digester,
    dialect: str,
    now: datetime,
    audiences: Sequence[str],
    slow: Recognised | None,
) -> Proof:
    """Prove who a client is, whatever time may say of what it proved that with."""
    proved = _prove(presented, view, digester, now, audiences)
    if slow is not None and proved is Reason.WRONG_SECRET:
        proved = slow.credential, slow.spends
    if view is None:
        raise InvalidClient(Reason.UNKNOWN_CLIENT)
    about = Concern(view.organisation.id, view.client.id)
    if isinstance(proved, Reason):
        raise InvalidClient(proved, about=about)
    found, spends = proved
    reason = client_objection(dialect, view)
    if reason is not None:
        raise InvalidClient(reason, about=about)
    return Proof(view.organisation, view.client, found, spends)


def _prove(
    presented: PresentedCredential,
    view: ClientView | None,
    digester: Digester,
    now: datetime,
    audiences: Sequence[str],
) -> tuple[Credential | None, tuple[Change, ...]] | Reason:
    """Find the credential that was presented, and what its use spends; or the private reason why not."""
    if presented.kind is CredentialKind.PUBLIC_KEY:
        return prove_assertion(presented.secret, view, audiences, now)
    held = [] if view is None else _held(view, presented.kind)
    found = compare_secret(presented.secret, held, digester)
    if presented.kind is CredentialKind.NONE:
        public = view is not None and view.client.public
        return (None, ()) if public else Reason.NO_CREDENTIAL
    return Reason.WRONG_SECRET if found is None else (found, ())


def _held(view: ClientView, kind: CredentialKind) -> list[Credential]:
    return [item for item in view.credentials if item.kind is kind]


def compare_secret(presented: Secret, held: Sequence[Credential], digester: Digester) -> Credential | None:
    """Compare with every credential that is held, in constant time, without stopping at a match.

    With none it costs what one costs (TE-09).
    """
    digest = presented.sha256()
    if not held:
        compare_digest(digester.lookup_hash(digest, digester.current_pepper_id), _DECOY_HASH)
    found = None
    for item in held:
        if compare_digest(digester.lookup_hash(digest, item.pepper_id), item.lookup_hash):
            found = item
    return found


def client_objection(dialect: str, view: ClientView) -> Reason | None:
    """Say why a client is not accepted at all, whatever it proves; None where it is."""
    if not view.organisation.usable:
        return Reason.ORGANISATION_ENDED
    if not view.client.usable:
        return Reason.CLIENT_DISABLED
    if dialect not in view.client.dialects:
        return Reason.WRONG_DIALECT
    return None


def credential_objection(
    dialect: str, credential: Credential, organisation: Organisation, now: datetime
) -> Reason | None:
    """Say why a genuine credential of an organisation is not accepted now; None where it is."""
    if dialect not in credential.dialects:
        return Reason.WRONG_DIALECT
    return _OBJECTIONS.get(standing(credential, policy_of(organisation), now))


def check_family(
    presented: Secret,
    held: tuple[RefreshToken, RefreshFamily] | None,
    asker: Asker,
    profile: str,
    digester: Digester,
    now: datetime,
) -> tuple[RefreshToken, RefreshFamily]:
    """Prove that a refresh token is one of a living family of whoever asks (RFC 6749 section 6, RT-05).

    Which generation it is, and what that means, is for ``refresh`` to judge.

    Raises:
        InvalidGrant: Unknown, ended, expired, another client's, or outdated by an epoch; the same for all.
    """
    if held is None:
        raise InvalidGrant(Reason.UNKNOWN_REFRESH_TOKEN, about=asker.about)
    token, family = held
    reason = _family_objection(family, asker, profile, now)
    if reason is None and not (token.current or is_remembered(presented, token, family, digester)):
        reason = Reason.UNKNOWN_REFRESH_TOKEN
    if reason is not None:
        raise InvalidGrant(
            reason, about=asker.about or Concern(family.organisation_id, family.subject, family.owner_kind)
        )
    return token, family


def _family_objection(family: RefreshFamily, asker: Asker, profile: str, now: datetime) -> Reason | None:
    if family.client_id != asker.client_id:
        return Reason.OTHER_CLIENT
    if asker.proof is not None and asker.proof.organisation.id != family.organisation_id:
        return Reason.OTHER_ORGANISATION
    if family.profile != profile:
        return Reason.WRONG_DIALECT
    if family.ended_at is not None:
        return Reason.FAMILY_ENDED
    if now >= family.ends_at:
        return Reason.REFRESH_TOKEN_EXPIRED
    return None


def is_remembered(presented: Secret, token: RefreshToken, family: RefreshFamily, digester: Digester) -> bool:
    """Compare with the digest that is kept, where one is: of the newest two generations.

    An older token is known by its tag alone, and can only end the family.
    """
    kept = {family.generation: family.current_hash, family.generation - 1: family.previous_hash}
    expected = kept.get(token.generation)
    if expected is None:
        return token.generation < family.generation
    digest = presented.sha256()
    return compare_digest(digester.lookup_hash(digest, family.pepper_id), expected)
