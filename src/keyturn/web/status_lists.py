"""Publishes status lists: ``/o/{organisation}/status/{list}``, and below ``/o/{organisation}/status`` all.

They are served for as long as a token may name them, also once the setting is off. A list is made at most
once a second, for everybody who asks meanwhile. What is not there looks like any path that is nothing.
"""

import asyncio
import re
from asyncio import Task
from collections.abc import Mapping
from functools import partial

import msgspec

from keyturn.core.errors import Unavailable
from keyturn.core.profile import TokenProfile
from keyturn.core.records import Organisation
from keyturn.core.status_records import StatusReader
from keyturn.exchange.services import Services
from keyturn.exchange.status import status_uri
from keyturn.exchange.status_list import published_list
from keyturn.tokens.status_list import MEDIA_TYPE
from keyturn.wire.http import Headers, WireResponse

MADE_EVERY_SECONDS = 1.0
LISTS_KEPT = 256
"""Lists kept for a second; one more forgets the oldest."""

_PATH = re.compile(r"/o/([^/]+)/status(?:/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}))?")
_ANYBODY: Headers = (
    (b"access-control-allow-origin", b"*"),
    (b"x-content-type-options", b"nosniff"),
)
_NO_STORE = (b"cache-control", b"no-store")
_JSON = (b"content-type", b"application/json")


class StatusLists:
    """Answers the paths of status lists.

    Args:
        profiles: By kind. Lists are signed like the tokens of ``oauth2``, with the organisation's keys.
        ttl_seconds: How long anybody may keep one.
    """

    def __init__(
        self, reader: StatusReader, services: Services, profiles: Mapping[str, TokenProfile], ttl_seconds: int
    ) -> None:
        """Have made none yet."""
        self._reader = reader
        self._services = services
        self._algorithm = profiles["oauth2.access"].algorithm
        self._ttl_seconds = ttl_seconds
        self._kept: dict[str, tuple[float, Task[str | None]]] = {}
        kept = (b"cache-control", b"public, max-age=%d" % ttl_seconds)
        self._list_headers: Headers = ((b"content-type", MEDIA_TYPE.encode()), kept, *_ANYBODY)
        self._index_headers: Headers = (_JSON, kept, *_ANYBODY)

    async def answer(self, method: str, path: str) -> WireResponse | None:
        """Answer a request for a list or for all; None where the path leads to neither."""
        if not path.startswith("/o/"):
            return None
        found = _PATH.fullmatch(path)
        if found is None:
            return None
        try:
            return await self._answer(method, found[1], found[2])
        except Unavailable as unavailable:
            # Never an older list instead: it might say of a dead token that it lives (HT-09).
            later = (b"retry-after", b"%d" % unavailable.retry_after)
            return WireResponse(503, b'{"error":"temporarily_unavailable"}', (_JSON, _NO_STORE, later))

    async def _answer(self, method: str, slug: str, list_id: str | None) -> WireResponse | None:
        self._services.registry.require_fresh()
        organisation = await self._services.registry.find_organisation(slug)
        if organisation is None or organisation.ended_at is not None:
            return None
        if method not in {"GET", "HEAD"}:
            allow = (b"allow", b"GET, HEAD")
            return WireResponse(405, b'{"error":"method_not_allowed"}', (_JSON, allow, _NO_STORE))
        if list_id is None:
            uri = partial(status_uri, self._services.public_url, slug)
            uris = [uri(each) for each in await self._reader.lists(organisation.id)]
            return WireResponse(200, msgspec.json.encode({"status_lists": uris}), self._index_headers)
        signed = await self._current(organisation, list_id)
        return None if signed is None else WireResponse(200, signed.encode(), self._list_headers)

    async def _current(self, organisation: Organisation, list_id: str) -> str | None:
        """Give a list that is at most a second old, made once for all who want it now."""
        now, key = self._services.clock.monotonic(), f"{organisation.id}/{list_id}"
        made_at, making = self._kept.get(key, (0.0, None))
        failed = making is not None and making.done() and (making.cancelled() or making.exception())
        if making is None or failed or now - made_at >= MADE_EVERY_SECONDS:
            self._kept.pop(key, None)
            if len(self._kept) >= LISTS_KEPT:
                del self._kept[next(iter(self._kept))]
            signed = published_list(
                organisation,
                list_id,
                self._reader,
                self._services,
                algorithm=self._algorithm,
                ttl_seconds=self._ttl_seconds,
            )
            making = asyncio.create_task(signed)
            self._kept[key] = (now, making)
        # Shielded: one caller that leaves must not take the answer from the others.
        return await asyncio.shield(making)
