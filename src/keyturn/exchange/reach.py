"""An organisation that a request names beside a proven credential must be the credential's own (TN-01)."""

from keyturn.core.errors import Concern, InsufficientScope
from keyturn.core.ports import Registry
from keyturn.core.requests import Proof
from keyturn.core.vocabulary import OrganisationId, Reason


async def require_own_organisation(alias: str | None, proof: Proof, registry: Registry) -> None:
    """Refuse a proven caller who names another organisation than the one that the proof is for.

    Raises:
        InsufficientScope: Another's, or nobody's: to this caller both are the same (TN-02).
    """
    if alias is not None:
        await require_alias(alias, proof.organisation.id, proof.about, registry)


async def require_alias(
    alias: str | None, organisation_id: OrganisationId, about: Concern, registry: Registry
) -> None:
    """Refuse a UUID or API key that is not an organisation's; None names none and passes.

    Raises:
        InsufficientScope: It is another's, or nobody's.
    """
    if alias is None:
        return
    named = await registry.find_organisation_alias(alias)
    if named is None or named.id != organisation_id:
        raise InsufficientScope(Reason.OTHER_ORGANISATION, "not allowed for this organisation", about=about)
