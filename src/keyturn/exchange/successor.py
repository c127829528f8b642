"""The next token of a refresh family: whoever presents the one before again can be given the same (RT-02).

It comes from the presented token and a fresh salt, and its family keeps the salt: without that token the salt
gives nothing, and without the salt, 256 bits of the system's dice, the token gives nothing (TK-11). Whoever
presents a token that the first release reads may present it there again, whatever was said of that release
(``core/forms.py``): then the next one is made of dice alone, and kept sealed under a key that the presented
one gives.

Source: design.md section 4; RFC 7693 for the keyed digest, RFC 5869 and NIST SP 800-38D for the seal.
"""

from functools import partial
from hashlib import blake2b
from hmac import compare_digest

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from keyturn.core.errors import Fault
from keyturn.core.forms import Form
from keyturn.core.ports import Digester
from keyturn.core.records import RefreshFamily
from keyturn.core.refresh_token import (
    DICE_BYTES,
    has_older_form,
    make_numbered_token,
    make_refresh_token,
)
from keyturn.core.secret import Secret
from keyturn.core.vocabulary import FamilyId
from keyturn.exchange.services import Services

_SALT_BYTES = 32
_PERSON = b"kt successor"
_NONCE_BYTES = 12
_EXTRACT = HMAC(bytes(32), SHA256())


def fresh_token(family_id: FamilyId, generation: int, pepper_id: str, services: Services) -> Secret:
    """Make a token of dice alone, in the form that is written now.

    Args:
        pepper_id: Its family's, which a family keeps for good.
    """
    tag = partial(services.digester.tag, pepper_id=pepper_id)
    if services.forms.written is Form.FIRST:
        return make_numbered_token(family_id, generation, tag, services.dice)
    return make_refresh_token(family_id, generation, tag, services.dice(DICE_BYTES))


def make_successor(family: RefreshFamily, presented: Secret, services: Services) -> tuple[Secret, bytes]:
    """Make the next token of a family, and what its row keeps to make it again."""
    if services.forms.written is Form.FIRST or has_older_form(presented):
        return _make_sealed(family, presented, services)
    salt = services.dice(_SALT_BYTES)
    return _derived(family, family.generation + 1, presented, salt, services.digester), salt


def same_successor(family: RefreshFamily, presented: Secret, services: Services) -> Secret:
    """Give the family's newest token again to whoever presents the one before.

    Raises:
        Fault: What the row keeps does not give it.
    """
    kept, digester = family.successor_sealed or b"", services.digester
    if len(kept) != _SALT_BYTES:
        return _open(family, presented, kept)
    token = _derived(family, family.generation, presented, kept, digester)
    if not compare_digest(digester.lookup_hash(token.sha256(), family.pepper_id), family.current_hash):
        raise Fault("the salt of a refresh family does not give its newest token")
    return token


def _derived(
    family: RefreshFamily, generation: int, presented: Secret, salt: bytes, digester: Digester
) -> Secret:
    random = blake2b(salt, key=presented.sha256(), digest_size=DICE_BYTES, person=_PERSON).digest()
    tag = partial(digester.tag, pepper_id=family.pepper_id)  # the same one whenever it is made again
    return make_refresh_token(family.id, generation, tag, random, presented)


# --- as the first release keeps and opens it ---


def _make_sealed(family: RefreshFamily, presented: Secret, services: Services) -> tuple[Secret, bytes]:
    token = fresh_token(family.id, family.generation + 1, family.pepper_id, services)
    nonce = services.naming(_NONCE_BYTES)  # no secret, and the key is of this one token
    cipher = _cipher(presented, family.id)
    return token, nonce + cipher.encrypt(nonce, token.reveal().encode(), family.id.encode())


def _open(family: RefreshFamily, presented: Secret, sealed: bytes) -> Secret:
    nonce, sealed = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
    try:
        return Secret(_cipher(presented, family.id).decrypt(nonce, sealed, family.id.encode()).decode())
    except (InvalidTag, ValueError) as error:
        raise Fault("a sealed refresh token does not open") from error


def _cipher(presented: Secret, family_id: FamilyId) -> AESGCM:
    """Derive a key by HKDF without a salt, whose first step begins the same each time."""
    extract = _EXTRACT.copy()
    extract.update(presented.reveal().encode())
    info = b"keyturn refresh successor " + family_id.encode()
    return AESGCM(HKDFExpand(SHA256(), 32, info).derive(extract.finalize()))
