"""Is a genuine token still alive? Revocations and epochs, both in memory (design.md section 4).

A signature proves who made a token; only this says that nothing it rests on has ended since.
"""

from keyturn.core.ports import Registry, Revocations
from keyturn.core.records import ClientView, RefreshFamily
from keyturn.core.vocabulary import ClientId, CredentialId
from keyturn.tokens.verify import VerifiedClaims


async def is_alive(verified: VerifiedClaims, registry: Registry, revocations: Revocations) -> bool:
    """Tell whether an unexpired token of ours has been revoked or outdated.

    Raises:
        Unavailable: Memory is not current, so nobody can tell.
    """
    registry.require_fresh()
    own = verified.own
    if revocations.covers(verified.token_id, own.family_id):
        return False
    view = await registry.find_client(ClientId(verified.subject))
    return (
        view is not None
        and view.organisation.id == own.organisation_id
        and rests_on_current(own.credential_id, own.epochs, view)
    )


def family_is_current(family: RefreshFamily, view: ClientView) -> bool:
    """Tell whether nothing that a refresh family rests on has been ended or disabled since its birth."""
    return rests_on_current(family.credential_id, family.epochs, view)


def rests_on_current(credential_id: CredentialId, epochs: tuple[int, int, int], view: ClientView) -> bool:
    """Compare epochs with the current ones: whatever is below is dead, and nothing revives it (RV-04)."""
    credential = next((item for item in view.credentials if item.id == credential_id), None)
    if credential is None or not view.organisation.usable or not view.client.usable:
        return False
    return all(
        minted >= current
        for minted, current in zip(
            epochs, (view.organisation.epoch, view.client.epoch, credential.epoch), strict=True
        )
    )
