"""Keyturn's own claim ``kt``: what every token of every dialect says about itself.

Revocation, introspection and the check of a token's kind go by it, so they work alike for contracts that
show neither a token id nor a client (design.md sections 2 and 4).
"""

from typing import Annotated

import msgspec

from keyturn.core.vocabulary import CredentialId, FamilyId, OrganisationId
from keyturn.tokens.errors import Rejection, TokenRejected

CLAIM = "kt"
"""The claim's name."""

Epoch = Annotated[int, msgspec.Meta(ge=0)]
Name = Annotated[str, msgspec.Meta(min_length=1)]


class OwnClaim(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The members of ``kt``; short names, since they travel with every request.

    Args:
        kind: ``k``, the token's kind, for example ``oauth2.access``; unique in the deployment (TK-08).
        organisation_id: ``o``, whose token it is.
        credential_id: ``c``, the credential it was issued for.
        epochs: ``e``, those of the organisation, of the client or subject that owns the credential, and of
            the credential, at the time of issue. The token is dead once one of them is below the current.
        family_id: ``f``, the refresh family it belongs to; absent where there is none.
    """

    kind: Name = msgspec.field(name="k")
    organisation_id: OrganisationId = msgspec.field(name="o")
    credential_id: CredentialId = msgspec.field(name="c")
    epochs: tuple[Epoch, Epoch, Epoch] = msgspec.field(name="e")
    family_id: FamilyId | None = msgspec.field(name="f", default=None)


def decode_own_claim(value: object) -> OwnClaim:
    """Read the value of ``kt`` strictly: no other members, no other types.

    Raises:
        TokenRejected: It is missing or malformed (Rejection.OWN_CLAIM).
    """
    try:
        return msgspec.convert(value, OwnClaim)
    except msgspec.ValidationError:
        raise TokenRejected(Rejection.OWN_CLAIM) from None
