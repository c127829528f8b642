"""Is a client's signed assertion genuine? By the client's registered keys only, and once (TE-06).

Nothing in an assertion adds a key, and nothing is fetched. What it uses up comes back with the proof and is
spent when the outcome is recorded: a refusal never spends, and of two racers one wins, on any number of
processes.
"""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, derive_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers

from keyturn.core.changes import Add, Change
from keyturn.core.life import Standing
from keyturn.core.records import Credential, Spent
from keyturn.core.secret import Secret
from keyturn.core.views import ClientView
from keyturn.core.vocabulary import Algorithm, CredentialKind, Reason
from keyturn.tokens.assertion import (
    LEEWAY,
    LONGEST,
    Assertion,
    PresentedAssertion,
    check_claims,
    parse_assertion,
)
from keyturn.tokens.errors import Rejection, TokenRejected
from keyturn.tokens.keyset import VerifyingKey, import_key, verifying_key

KEYS_KEPT = 4096
"""Registered keys that stay imported: importing one costs as much as using it."""

_REASONS = {
    Rejection.SUBJECT: Reason.ASSERTION_CLIENT,
    Rejection.AUDIENCE: Reason.ASSERTION_AUDIENCE,
    Rejection.EXPIRED: Reason.ASSERTION_TIME,
    Rejection.LIFETIME: Reason.ASSERTION_TIME,
    Rejection.NOT_YET_VALID: Reason.ASSERTION_TIME,
}

_DECOYS = {
    Algorithm.ES256: verifying_key(derive_private_key(1, SECP256R1()).public_key(), Algorithm.ES256),
    Algorithm.EDDSA: verifying_key(
        Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key(), Algorithm.EDDSA
    ),
    # Any odd number of 2048 bits costs what a modulus costs, and nobody knows its factors.
    Algorithm.RS256: verifying_key(
        RSAPublicNumbers(
            65537, int.from_bytes(hashlib.shake_256(b"decoy").digest(256)) | 1 << 2047 | 1
        ).public_key(),
        Algorithm.RS256,
    ),
}
"""What stands for the key of a client that has none; what it says is never believed."""


def prove_assertion(
    presented: Secret, view: ClientView | None, audiences: Sequence[str], now: datetime
) -> tuple[Credential, tuple[Change, ...]] | Reason:
    """Prove an assertion, or give the private reason why not; an unknown client costs one signature too.

    Returns:
        The key that proved it, whose own standing is not checked here, and what the use spends.
    """
    try:
        parsed = parse_assertion(presented.reveal())
        credential = _verify(parsed, () if view is None else _candidates(parsed, view, now))
        if credential is None or view is None:
            return Reason.ASSERTION_SIGNATURE
        assertion = check_claims(parsed, client_id=view.client.id, audiences=audiences, now=now)
    except TokenRejected as rejected:
        return _REASONS.get(rejected.why, Reason.ASSERTION_MALFORMED)
    if _may_be_spent(credential, assertion, now):
        return Reason.ASSERTION_TIME
    return credential, (Add(_spent(view, assertion)),)


def _may_be_spent(credential: Credential, assertion: Assertion, now: datetime) -> bool:
    """Tell whether an assertion may have been used before the store was set back, which forgot that (RE-02).

    Minutes after that every such assertion is refused for its age, and one that says no time is good again.
    """
    if credential.accepted_step is None:
        return False
    restored_at = datetime.fromtimestamp(credential.accepted_step, UTC)
    if now >= restored_at + LONGEST + 2 * LEEWAY:
        return False
    return assertion.issued_at is None or assertion.issued_at <= restored_at + LEEWAY


def _candidates(parsed: PresentedAssertion, view: ClientView, now: datetime) -> Sequence[Credential]:
    """Choose the keys that may have signed: the one of that ``kid``, or without one those of the algorithm.

    Keys in force come first, so that an ended one is found only where it decides nothing but the reason.
    """
    fitting = [
        item
        for item in view.credentials
        if item.kind is CredentialKind.PUBLIC_KEY
        and item.public_jwk is not None
        and item.public_jwk["alg"] == parsed.algorithm  # the key decides; the header may only agree (TK-01)
        and parsed.key_id in {None, item.public_jwk["kid"]}
    ]
    good = [item for item in fitting if item.life.standing(now) is Standing.GOOD]
    return good or fitting[-1:]


def _verify(parsed: PresentedAssertion, candidates: Sequence[Credential]) -> Credential | None:
    if not candidates:
        _DECOYS[parsed.algorithm].verify(parsed.signature, parsed.message)
    found = None
    for item in candidates:
        key = _imported(tuple((item.public_jwk or {}).items()))
        if key.verify(parsed.signature, parsed.message):
            found = item
    return found


@lru_cache(maxsize=KEYS_KEPT)
def _imported(members: tuple[tuple[str, str], ...]) -> VerifyingKey:
    jwk = dict(members)
    return import_key(jwk, Algorithm(jwk["alg"]))


def _spent(view: ClientView, assertion: Assertion) -> Spent:
    # Both lengths are fixed by the digest, so no client can spend what another has.
    name = hashlib.sha256(f"{view.client.id}\n{assertion.token_id}".encode()).hexdigest()
    return Spent(
        id="assertion:" + name,
        organisation_id=view.organisation.id,
        expires_at=assertion.spent_until,
    )
