"""Step 0: find the one organisation and owner that a request names.

The only reader that crosses organisations. Finding nothing is no refusal here: unknown and known take the
same path, and only ``credentials`` says no, so that both look and cost the same (TE-09, PW-04).
"""

from keyturn.core.ports import Registry
from keyturn.core.requests import Located, TokenRequest
from keyturn.core.vocabulary import ClientId


async def locate(request: TokenRequest, registry: Registry) -> Located:
    """Find the client behind a request; a path that names another organisation finds nothing (TN-01)."""
    view = await registry.find_client(ClientId(request.credential.owner or ""))
    if view is not None and request.organisation not in {None, view.organisation.slug}:
        view = None
    return Located(view)
