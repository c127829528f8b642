"""Keyturn's own claim ``kt``: what every token of every dialect says about itself.

Revocation, introspection and the check of a token's kind go by it, so they work alike for contracts that
show neither a token id nor a client (design.md sections 2 and 4).
"""

from typing import Annotated

import msgspec

from keyturn.core.vocabulary import ClientId, CredentialId, FamilyId, OrganisationId, OwnerKind
from keyturn.tokens.compact import decode_object, split
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
        epochs: ``e``, those of the organisation, of the client, user or entity that owns the credential, and
            of the credential, at the time of issue; of a user's token also of the membership, and where a
            client of ours asked for it that client's. It is dead once one of them is below the current. A
            user's is ``User.epoch_at``.
        family_id: ``f``, the refresh family it belongs to; absent where there is none.
        owner_kind: ``s``, what the subject is; absent for a client.
        client_id: ``a``, the client that asked, where it is ours and not the subject.
    """

    kind: Name = msgspec.field(name="k")
    organisation_id: OrganisationId = msgspec.field(name="o")
    credential_id: CredentialId = msgspec.field(name="c")
    epochs: Annotated[tuple[Epoch, ...], msgspec.Meta(min_length=3, max_length=5)] = msgspec.field(name="e")
    family_id: FamilyId | None = msgspec.field(name="f", default=None)
    owner_kind: OwnerKind = msgspec.field(name="s", default=OwnerKind.CLIENT)
    client_id: ClientId | None = msgspec.field(name="a", default=None)


def unverified_organisation(presented: str) -> OrganisationId | None:
    """Say whose token a text claims to be: to find the keys that could prove it, and for nothing else."""
    try:
        claims = decode_object(split(presented)[2], Rejection.CLAIMS_JSON)
        return decode_own_claim(claims.get(CLAIM)).organisation_id
    except TokenRejected:
        return None


def decode_own_claim(value: object) -> OwnClaim:
    """Read the value of ``kt`` strictly: no other members, no other types.

    Raises:
        TokenRejected: It is missing or malformed (Rejection.OWN_CLAIM).
    """
    try:
        return msgspec.convert(value, OwnClaim)
    except msgspec.ValidationError:
        raise TokenRejected(Rejection.OWN_CLAIM) from None
