"""Signing keys in a PKCS#11 token: made there, used there, and never outside it (OASIS PKCS #11 v2.40).

What a ring keeps is the object's id. Whose key it is stands in the ring, sealed, and not in the token: there
it is only written on the object for people.
"""

from collections.abc import Callable
from functools import partial
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey, RSAPublicNumbers

from keyturn.core.errors import Fault
from keyturn.core.ports import Signer
from keyturn.core.secret import Dice
from keyturn.core.vocabulary import Algorithm
from keyturn.keys.certificates import certificate_members
from keyturn.keys.custody import REFERENCE, Certify, MadeKey, SoftwareKeys
from keyturn.keys.pkcs11_token import Session, Token
from keyturn.keys.signers import RSA_BITS
from keyturn.tokens.jwks import public_jwk

_ID_BYTES = 16
_ED25519 = "1.3.101.112"
_OCTET_STRING_HEAD = 2
"""Tag and length of a short DER octet string, in which a token gives a point."""


class TokenSigner:
    """One key of a token; it signs on one of the token's threads (``elsewhere``)."""

    def __init__(
        self, token: Token, key_id: str, algorithm: Algorithm, object_id: bytes, x5t: str | None
    ) -> None:
        """Sign with the object that has ``object_id``."""
        self.key_id = key_id
        self.algorithm = algorithm
        self.x5t = x5t
        self.elsewhere = token.elsewhere
        self._token = token
        self._sign = partial(_sign, object_id, algorithm)

    def sign(self, message: bytes) -> bytes:
        """Sign on the thread that asks.

        Raises:
            Unavailable: The token does not answer, or has no such key (Reason.KEY_UNAVAILABLE).
        """
        return self._token.call(lambda session: self._sign(session, message))


class TokenKeys:
    """The ``Custody`` of a token, beside the keys that this process made before.

    Args:
        token: Makes and keeps keys.
        software: Has those whose private half is in the ring.
        make_here: Whether new keys are made in the token.
        dice: Names objects.
    """

    def __init__(
        self, token: Token, software: SoftwareKeys, dice: Dice, *, make_here: bool, rsa_bits: int = RSA_BITS
    ) -> None:
        """Make nothing yet."""
        self._token = token
        self._software = software
        self._dice = dice
        self._make_here = make_here
        self._rsa_bits = rsa_bits

    def make(self, algorithm: Algorithm, owner: str, certify: Certify | None = None) -> MadeKey:
        """Make a key; it takes what the token takes.

        Raises:
            Unavailable: The token does not answer (Reason.KEY_UNAVAILABLE).
        """
        if not self._make_here:
            return self._software.make(algorithm, owner, certify)
        object_id = self._dice(_ID_BYTES)
        label = f"keyturn {owner} {algorithm}"
        public = self._token.call(lambda session: _make(session, algorithm, object_id, label, self._rsa_bits))
        certificate = None
        if certify is not None:
            if not isinstance(public, RSAPublicKey):
                raise Fault("only RSA keys of a token get certificates")
            certificate = certify(_Certifying(public, self._token, object_id))
        named = certificate_members(certificate) if certificate is not None else {}
        return MadeKey(public_jwk(public, algorithm) | named, _reference(algorithm) + object_id, certificate)

    def load(self, key_id: str, algorithm: Algorithm, private: bytes, x5t: str | None = None) -> Signer:
        """Give a key's signer; the token is not asked before it signs.

        Raises:
            Fault: It is not a key for that algorithm.
        """
        if not private.startswith(REFERENCE):
            return self._software.load(key_id, algorithm, private, x5t)
        reference = _reference(algorithm)
        if not private.startswith(reference):
            raise Fault(f"signing key {key_id} is not a key for {algorithm}")
        return TokenSigner(self._token, key_id, algorithm, private.removeprefix(reference), x5t)


class _Certifying(RSAPrivateKey):
    """A token's key as the X.509 builder wants to see it: it can only sign."""

    def __init__(self, public: RSAPublicKey, token: Token, object_id: bytes) -> None:
        self._public = public
        self._token = token
        self._object_id = object_id

    def sign(self, data: bytes, padding: object, algorithm: object) -> bytes:  # noqa: ARG002  # PKCS #1 v1.5 with SHA-256 is what ``certify`` asks for
        return self._token.call(lambda session: _sign(self._object_id, Algorithm.RS256, session, data))

    def public_key(self) -> RSAPublicKey:
        return self._public

    @property
    def key_size(self) -> int:
        return self._public.key_size

    def decrypt(self, *_arguments: object) -> bytes:
        raise NotImplementedError

    def private_numbers(self) -> Any:
        raise NotImplementedError

    def private_bytes(self, *_arguments: object) -> bytes:
        raise NotImplementedError

    def __copy__(self) -> "_Certifying":
        return self

    def __deepcopy__(self, _memo: object) -> "_Certifying":
        return self


def _reference(algorithm: Algorithm) -> bytes:
    return REFERENCE + algorithm.value.encode() + b":"


def _sign(object_id: bytes, algorithm: Algorithm, session: Session, message: bytes) -> bytes:
    from pkcs11 import Mechanism

    key = session.private_key(object_id)
    match algorithm:
        case Algorithm.ES256:  # R and S as they are, what RFC 7518 section 3.4 wants
            return bytes(key.sign(sha256(message).digest(), mechanism=Mechanism.ECDSA))
        case Algorithm.RS256:
            return bytes(key.sign(message, mechanism=Mechanism.SHA256_RSA_PKCS))
        case Algorithm.EDDSA:
            return bytes(key.sign(message, mechanism=Mechanism.EDDSA))


def _make(session: Session, algorithm: Algorithm, object_id: bytes, label: str, rsa_bits: int) -> Any:
    """Make a key pair and give its public half as ``cryptography`` has it."""
    from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag
    from pkcs11.util.ec import encode_named_curve_parameters

    about: dict[str, Any] = {
        "id": object_id,
        "label": label,
        "store": True,
        "capabilities": MechanismFlag.SIGN | MechanismFlag.VERIFY,
        "private_template": {Attribute.EXTRACTABLE: False, Attribute.SENSITIVE: True},
    }

    def on_curve(kind: KeyType, name: str) -> Callable[..., Any]:
        curve = {Attribute.EC_PARAMS: encode_named_curve_parameters(name)}
        made: Callable[..., Any] = session.raw.create_domain_parameters(
            kind, curve, local=True
        ).generate_keypair
        return made

    match algorithm:
        case Algorithm.RS256:
            public, _ = session.raw.generate_keypair(KeyType.RSA, rsa_bits, **about)
            exponent, modulus = public[Attribute.PUBLIC_EXPONENT], public[Attribute.MODULUS]
            return RSAPublicNumbers(int.from_bytes(exponent), int.from_bytes(modulus)).public_key()
        case Algorithm.ES256:
            public, _ = on_curve(KeyType.EC, "secp256r1")(**about)
            return EllipticCurvePublicKey.from_encoded_point(SECP256R1(), _point(public[Attribute.EC_POINT]))
        case Algorithm.EDDSA:
            made = on_curve(KeyType.EC_EDWARDS, _ED25519)
            public, _ = made(mechanism=Mechanism.EC_EDWARDS_KEY_PAIR_GEN, **about)
            return Ed25519PublicKey.from_public_bytes(_point(public[Attribute.EC_POINT]))


def _point(der: bytes) -> bytes:
    return bytes(der[_OCTET_STRING_HEAD:])
