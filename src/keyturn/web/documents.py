"""What is published for anybody: an issuer's metadata and its keys (RFC 8414, RFC 7517)."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from keyturn.core.errors import NotFound
from keyturn.core.records import Organisation
from keyturn.core.vocabulary import Reason
from keyturn.exchange.services import Services

Urls = Mapping[str, str]
"""By route name, the template of a route's URL below ``public_url``."""

Maker = Callable[[Organisation, Services], Awaitable[dict[str, Any]]]


async def document_facts(name: str, slug: str, urls: Urls, services: Services) -> dict[str, Any]:
    """Gather the facts of a published document of an organisation's issuer.

    Raises:
        NotFound: There is no such organisation, or it was ended (TK-15: its slug stays taken).
        Unavailable: The store could not be asked and memory does not know.
    """
    organisation = await services.registry.find_organisation(slug)
    if organisation is None or organisation.ended_at is not None:
        raise NotFound(Reason.UNKNOWN_ORGANISATION)
    facts = {
        "url." + route: services.public_url + url.replace("{organisation}", slug)
        for route, url in urls.items()
    }
    facts["issuer"] = f"{services.public_url}/o/{slug}"
    facts |= await MAKERS[name](organisation, services)
    return facts


async def _metadata(organisation: Organisation, services: Services) -> dict[str, Any]:
    keys = await services.rings.published(organisation.id, services.clock.now())
    return {"algorithms": sorted({key["alg"] for key in keys})}


async def _jwks(organisation: Organisation, services: Services) -> dict[str, Any]:
    return {"keys": list(await services.rings.published(organisation.id, services.clock.now()))}


MAKERS: dict[str, Maker] = {"metadata": _metadata, "jwks": _jwks}
"""Name of a document in a dialect's table -> what gathers its facts."""
