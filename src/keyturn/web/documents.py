"""What is published for anybody: an issuer's metadata and its keys (RFC 8414, RFC 7517)."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from keyturn.core.errors import Fault, NotFound, Unavailable
from keyturn.core.profile import TokenProfile
from keyturn.core.records import Organisation
from keyturn.core.vocabulary import Reason
from keyturn.exchange.services import Services
from keyturn.exchange.status import status_uri
from keyturn.tokens.public_key import public_pem
from keyturn.web.added import setting_facts
from keyturn.wire.ask import Publication
from keyturn.wire.compile import CompiledRoute

Urls = Mapping[str, str]
"""By route name, the template of a route's URL below ``public_url``."""


class Issuer(msgspec.Struct, frozen=True):
    """Whose document it is.

    Args:
        name: The ``iss`` of its tokens.
        ring: The id of its key ring.
        profile: The tokens of a contract with an issuer of its own.
        organisation: None where the issuer is all organisations'.
    """

    name: str
    ring: str
    profile: TokenProfile | None
    organisation: Organisation | None = None


Maker = Callable[[Issuer, Services], Awaitable[dict[str, Any]]]


async def document_facts(
    asked: Publication, route: CompiledRoute, urls: Urls, services: Services
) -> dict[str, Any]:
    """Gather the facts of a published document: of an organisation's issuer, or of a contract's one for all.

    Raises:
        NotFound: There is no such organisation, or it was ended (TK-15: its slug stays taken).
        Unavailable: The store could not be asked and memory does not know, or a key is not usable now.
    """
    issuer, slug = await _issuer_of(asked, services), asked.organisation
    facts: dict[str, Any] = {f"request.{slot}": value for slot, value in asked.origin.echoes.items()}
    for name, url in urls.items():
        facts["url." + name] = services.public_url + (url.replace("{organisation}", slug) if slug else url)
    facts["issuer"] = issuer.name
    facts |= setting_facts(route, issuer.organisation)
    facts |= await MAKERS[asked.document.name](issuer, services)
    return facts


async def _issuer_of(asked: Publication, services: Services) -> Issuer:
    profile, slug = asked.document.profile, asked.organisation
    if slug is None:
        if profile is None or profile.shared_ring is None:
            raise Fault(f"{asked.origin.route}: a document of nobody")
        return Issuer(profile.issuer_for("", services.public_url), profile.shared_ring, profile)
    organisation = await services.registry.find_organisation(slug)
    if organisation is None or organisation.ended_at is not None:
        raise NotFound(Reason.UNKNOWN_ORGANISATION)
    if profile is None:
        return Issuer(f"{services.public_url}/o/{slug}", organisation.id, None, organisation)
    name = profile.issuer_for(slug, services.public_url)
    return Issuer(name, profile.shared_ring or organisation.id, profile, organisation)


async def _metadata(issuer: Issuer, services: Services) -> dict[str, Any]:
    keys = await services.rings.published(issuer.ring, services.clock.now())
    lists = None
    if services.places is not None and issuer.organisation is not None:
        lists = status_uri(services.public_url, issuer.organisation.slug, "")
    return {"algorithms": sorted({key["alg"] for key in keys}), "status_lists": lists}


async def _jwks(issuer: Issuer, services: Services) -> dict[str, Any]:
    return {"keys": list(await services.rings.published(issuer.ring, services.clock.now()))}


async def _public_key(issuer: Issuer, services: Services) -> dict[str, Any]:
    """Give the one key that signs now, for callers that take one key, beside all of them.

    Raises:
        Unavailable: It was withdrawn while it was looked up, or the store is away.
    """
    if issuer.profile is None:
        raise Fault(f"{issuer.name}: a public key of no profile")
    now, algorithm = services.clock.now(), issuer.profile.algorithm
    signer = await services.rings.signer(issuer.ring, algorithm, now)
    keys = list(await services.rings.published(issuer.ring, now))
    signing = next((key for key in keys if key["kid"] == signer.key_id), None)
    if signing is None:  # withdrawn between the two reads: the next one signs in a moment
        raise Unavailable(Reason.KEY_UNAVAILABLE)
    return {"keys": keys, "algorithm": algorithm.value, "pem": public_pem(signing, algorithm)}


MAKERS: dict[str, Maker] = {"metadata": _metadata, "jwks": _jwks, "public_key": _public_key}
"""Name of a document in a dialect's table -> what gathers its facts."""
