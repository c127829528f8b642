"""What describes the deployment to programs: ``/openapi.json``, and a Postman collection for each dialect.

They are made from the tables when somebody first asks and kept from then on; who never asks pays nothing.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
from typing import Any

import msgspec

from keyturn import __version__
from keyturn.wire.http import Headers, WireRequest, WireResponse
from keyturn.wire.tables import Dialect

OPENAPI_PATH = "/openapi.json"

_TYPE = (b"content-type", b"application/json")
_NO_SNIFFING = (b"x-content-type-options", b"nosniff")
_ANOTHER_METHOD = WireResponse(
    405,
    b'{"error":"method_not_allowed"}',
    (_TYPE, (b"allow", b"GET, HEAD"), (b"cache-control", b"no-store"), _NO_SNIFFING),
)


class Descriptions:
    """Answers the paths of the descriptions.

    Args:
        dialects: Those that are on, by name.
        max_age_seconds: How long anybody may cache them.
    """

    def __init__(self, dialects: Mapping[str, Dialect], public_url: str, max_age_seconds: int) -> None:
        """Note what could be described; nothing is made yet."""
        self._headers: Headers = (
            _TYPE,
            (b"cache-control", b"public, max-age=%d" % max_age_seconds),
            (b"access-control-allow-origin", b"*"),
            _NO_SNIFFING,
        )
        self._makers: dict[str, Callable[[], bytes]] = {
            OPENAPI_PATH: partial(openapi_text, dialects.values(), public_url),
            **{
                postman_path(name): partial(postman_text, dialect, public_url)
                for name, dialect in dialects.items()
            },
        }
        self._made = cache(self._make)

    def _make(self, path: str) -> WireResponse:
        return WireResponse(200, self._makers[path](), self._headers)

    def answer(self, request: WireRequest) -> WireResponse | None:
        """Answer a request for a description; None where its path is none's."""
        if request.path not in self._makers:
            return None
        return self._made(request.path) if request.method in {"GET", "HEAD"} else _ANOTHER_METHOD


def postman_path(name: str) -> str:
    """Name the path of a dialect's collection."""
    return f"/postman/{name}.json"


def openapi_text(dialects: Iterable[Dialect], public_url: str) -> bytes:
    """Spell the OpenAPI document of dialects, for people too."""
    from keyturn.wire.openapi import openapi_document

    return _spelled(openapi_document(dialects, public_url, __version__))


def postman_text(dialect: Dialect, public_url: str) -> bytes:
    """Spell the Postman collection of a dialect, for people too."""
    from keyturn.wire.postman import postman_collection

    return _spelled(postman_collection(dialect, public_url))


def _spelled(document: dict[str, Any]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"
