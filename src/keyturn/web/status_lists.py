"""Publishes status lists: ``/o/{organisation}/status/{list}``, and below ``/o/{organisation}/status`` all.

They are served for as long as a token may name them, also once the setting is off. What is answered is made
at most once a second, for everybody who asks meanwhile, and one after the other: anybody may ask, and a full
list costs as much as hundreds of tokens. What is not there looks like any path that is nothing.
"""

import asyncio
import re
from asyncio import Lock, Task
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Generic, TypeVar

import msgspec

from keyturn.core.errors import Unavailable
from keyturn.core.profile import TokenProfile
from keyturn.core.records import Organisation
from keyturn.core.status_records import StatusReader
from keyturn.core.vocabulary import Reason
from keyturn.exchange.services import Services
from keyturn.exchange.status import status_uri
from keyturn.exchange.status_list import published_list
from keyturn.tokens.status_list import MEDIA_TYPE
from keyturn.wire.http import Headers, WireResponse

MADE_EVERY_SECONDS = 1.0
PART_OF_TIME = 10
"""Where lists would take more than one part in so many of a server's time, they are made more seldom; but
none that is answered is older than anybody may keep one."""
TURN_SECONDS = 5.0
"""How long somebody waits for the others' lists: a request that hangs helps nobody (RE-05)."""
LISTS_KEPT = 256
"""Lists kept for a second; one more forgets the oldest."""

_PATH = re.compile(r"/o/([^/]+)/status(?:/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}))?")
_ANYBODY: Headers = (
    (b"access-control-allow-origin", b"*"),
    (b"x-content-type-options", b"nosniff"),
)
_NO_STORE = (b"cache-control", b"no-store")
_JSON = (b"content-type", b"application/json")


_ANY = TypeVar("_ANY")


class _Making(Generic[_ANY]):
    """Something that is made for all who ask, and how long that took, once it is done."""

    task: Task[_ANY]

    def __init__(self, begun_at: float) -> None:
        self.begun_at = begun_at
        self.seconds = 0.0

    def serves(self, now: float, seconds: float) -> bool:
        """Tell whether it is on its way, or came well and is not older than so many seconds."""
        if not self.task.done():
            return True
        failed = self.task.cancelled() or self.task.exception() is not None
        return not failed and now - self.begun_at < seconds


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
        self._kept_lists: dict[str, _Making[str | None]] = {}
        self._kept_indexes: dict[str, _Making[bytes]] = {}
        self._turn = Lock()
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
            index = await self._current(
                self._kept_indexes, organisation.id, partial(self._index, organisation)
            )
            return WireResponse(200, index, self._index_headers)
        name = f"{organisation.id}/{list_id}"
        signed = await self._current(self._kept_lists, name, partial(self._signed, organisation, list_id))
        if signed is None:
            self._kept_lists.pop(name, None)  # else made-up names would push lists out that are there
            return None
        return WireResponse(200, signed.encode(), self._list_headers)

    async def _index(self, organisation: Organisation) -> bytes:
        uri = partial(status_uri, self._services.public_url, organisation.slug)
        uris = [uri(each) for each in await self._reader.lists(organisation.id)]
        return msgspec.json.encode({"status_lists": uris})

    async def _signed(self, organisation: Organisation, list_id: str) -> str | None:
        return await published_list(
            organisation,
            list_id,
            self._reader,
            self._services,
            algorithm=self._algorithm,
            ttl_seconds=self._ttl_seconds,
        )

    async def _current(
        self, kept: dict[str, _Making[_ANY]], name: str, make: Callable[[], Awaitable[_ANY]]
    ) -> _ANY:
        """Give what is new enough, made once for all who want it now."""
        now, making = self._services.clock.monotonic(), kept.get(name)
        if making is None or not making.serves(now, self._every(now)):
            kept.pop(name, None)
            if len(kept) >= LISTS_KEPT:
                del kept[next(iter(kept))]
            making = kept[name] = _Making(now)
            making.task = asyncio.create_task(self._timed(making, make))
        # Shielded: one caller that leaves must not take the answer from the others.
        return await asyncio.shield(making.task)

    async def _timed(self, making: _Making[_ANY], make: Callable[[], Awaitable[_ANY]]) -> _ANY:
        try:
            async with asyncio.timeout(TURN_SECONDS):
                await self._turn.acquire()
        except TimeoutError:
            raise Unavailable(Reason.STORE_UNAVAILABLE) from None
        try:
            # Where the store is away, who waited need not find that out one by one.
            self._services.registry.require_fresh()
            clock = self._services.clock
            making.begun_at = clock.monotonic()
            made = await make()
            making.seconds = clock.monotonic() - making.begun_at
            return made
        finally:
            self._turn.release()

    def _every(self, now: float) -> float:
        """Say how old an answer may be: as much older as what was made lately took longer."""
        lately = now - self._ttl_seconds
        both: list[_Making[Any]] = [*self._kept_lists.values(), *self._kept_indexes.values()]
        took = sum(each.seconds for each in both if each.begun_at > lately)
        return max(MADE_EVERY_SECONDS, min(PART_OF_TIME * took, self._ttl_seconds))
