"""Step 0: find the one organisation and owner that a request names.

The only reader that crosses organisations. Finding nothing is no refusal here: unknown and known take the
same path, and only ``credentials`` says no, so that both look and cost the same (TE-09, PW-04).
"""

from contextvars import ContextVar
from hmac import compare_digest

from keyturn.core.ports import Digester, Registry
from keyturn.core.records import RefreshFamily
from keyturn.core.refresh import RefreshToken, split_refresh_token
from keyturn.core.requests import Located, PresentedCredential
from keyturn.core.secret import Secret
from keyturn.core.vocabulary import ClientId, CredentialKind
from keyturn.tokens.assertion import unverified_subject

FROM_MEMORY: ContextVar[bool] = ContextVar("from_memory", default=False)
"""Whether the client of the request that this task serves was found without a read. An unknown one never is,
so a refusal that must look like it owes one; the desk, which refuses, has no other way to know."""


async def locate(client: PresentedCredential, organisation: str | None, registry: Registry) -> Located:
    """Find the client that a request claims; a path that names another organisation finds nothing (TN-01).

    A signed assertion may come without a ``client_id``: then its own, unproven ``sub`` says where to look for
    the keys that could prove it (RFC 7521 section 4.2).
    """
    client_id = ClientId(_claimed(client) or "")
    FROM_MEMORY.set(registry.remembers(client_id))
    view = await registry.find_client(client_id)
    if view is not None and organisation not in {None, view.organisation.slug}:
        view = None
    return Located(view)


def _claimed(client: PresentedCredential) -> str | None:
    if client.owner is None and client.kind is CredentialKind.PUBLIC_KEY:
        return unverified_subject(client.secret.reveal())
    return client.owner


async def locate_family(
    presented: Secret, registry: Registry, digester: Digester
) -> tuple[RefreshToken, RefreshFamily] | None:
    """Find the family of a refresh token that we really made; a made-up one costs no read of the store."""
    parts = split_refresh_token(presented)
    if parts is None:
        return None
    token, message, tag = parts
    if not any(compare_digest(ours[: len(tag)], tag) for ours in digester.tags(message)):
        return None
    family = await registry.find_family(token.family_id)
    return None if family is None else (token, family)
