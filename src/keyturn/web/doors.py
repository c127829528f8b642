"""What the head of a request leads to, worked out once for each head that a connection keeps.

Reading is pure: the same head with the same body asks for the same. So a door also keeps what was asked
last, and a request that repeats it is read by a look-up. A question in the same words about another token is
read by putting that token in its place. Only the reading is kept: whether the caller may have what it asks is
found out each time. A door lives as long as its connection, and so do the secrets that it keeps.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Final

from msgspec.structs import replace

from keyturn.core.errors import Refusal
from keyturn.core.requests import Question, TokenRequest
from keyturn.core.secret import Secret
from keyturn.core.vocabulary import RequestId
from keyturn.web.cycle import Head
from keyturn.wire.ask import Asked
from keyturn.wire.compile import CompiledRoute, Match
from keyturn.wire.http import HeadNotes, WireRequest

BODY_KEPT_BYTES = 4096
_TOKEN_BYTES = 2000
"""A longer token is read anew: the readers' own bounds begin at 2 KiB."""
_FIELDS = 4
"""Bodies of more fields are read anew, each."""
_UNRESERVED: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
"""What a form spells as it is and divides nothing by (RFC 3986 section 2.3); tokens are made of it."""
_PROBE: Final = b"a-token-that-was-never-made"
_PROBE_DIGEST: Final = sha256(_PROBE).digest()


class Door:
    """One head's path, routes and caller, and what readers found in it.

    Args:
        path: As sent, still percent-encoded.
        match: What the path leads to; None for nothing.
        address: The caller's.

    ``route`` is the one of the head's method, or any of the path's, whose dialect then refuses the method;
    ``administers`` tells whether it is for administrators, ``asks`` whether it is for questions about tokens,
    which memory answers.
    """

    __slots__ = (
        "_head",
        "_learned",
        "_notes",
        "_params",
        "_said",
        "_words",
        "address",
        "administers",
        "asks",
        "path",
        "route",
        "routes",
    )

    def __init__(self, head: Head, path: str, match: Match | None, address: str) -> None:
        """Choose the route."""
        self._head = head
        self._notes = HeadNotes()
        self._said: dict[bytes, TokenRequest | Question] = {}
        self._words: dict[tuple[bytes, bytes], Question] = {}
        self._learned: tuple[int, int] | None = None
        self.path = path
        self.address = address
        self.routes: Mapping[str, CompiledRoute] = {} if match is None else match.routes
        self._params: Mapping[str, str] = {} if match is None else match.params
        self.route = _route_of(self.routes, head.method)
        self.administers = self.route is not None and self.route.is_administration
        operation = None if self.route is None else self.route.table.operation
        self.asks = operation is not None and operation.name == "introspect"

    @property
    def headers(self) -> Sequence[tuple[bytes, bytes]]:
        """The head's fields, names in lower case."""
        return self._head.headers

    def request(self, request_id: RequestId, body: bytes, *, oversized: bool) -> WireRequest:
        """Give a request that came in by this door, as its reader wants it."""
        head = self._head
        return WireRequest(
            request_id=request_id,
            method=head.method,
            path=self.path,
            query=head.query,
            headers=head.headers,
            body=body,
            address=self.address,
            oversized=oversized,
            params=self._params,
            notes=self._notes,
        )

    def asked_again(self, body: bytes, request_id: RequestId) -> Asked | None:
        """Give what a body asks for whose words were read here before, as another request.

        Like heads, bodies are found by a keyed hash, whose time tells nothing of them.
        """
        asked = self._said.get(body)
        if asked is not None:
            return replace(asked, origin=replace(asked.origin, request_id=request_id))
        if self._learned is None:
            return None
        begin, end = self._learned[0], len(body) - self._learned[1]
        token = body[begin:end]
        again = self._words.get((body[:begin], body[end:]))
        if again is None or not 0 < len(token) <= _TOKEN_BYTES or token.translate(None, _UNRESERVED):
            return None
        return replace(
            again, origin=replace(again.origin, request_id=request_id), token=Secret(token.decode("ascii"))
        )

    def keep(self, body: bytes, asked: Asked) -> None:
        """Keep what a body asks for, if it is short and of a kind that nobody takes apart."""
        if len(body) > BODY_KEPT_BYTES or not isinstance(asked, TokenRequest | Question):
            return
        if self._said and isinstance(asked, Question) and self._learned is None:
            self._learn(body, asked)  # at the second question: many a caller asks one and goes
        self._said = {body: asked}

    def _learn(self, body: bytes, asked: Question) -> None:
        """Find out where in a form the token stands: its reader says, asked about a probe in each place.

        What divides nothing is read alike, so any token of such letters would be read as the probe is. Where
        it stands nowhere (in JSON, or escaped) nothing is learned and each body is read; once is enough.
        """
        self._learned = (0, 0)
        fields = body.split(b"&")
        if len(fields) > _FIELDS:
            return
        begin = 0
        for field in fields:
            name, equals, value = field.partition(b"=")
            end = begin + len(field)
            place = (body[: begin + len(name + equals)], body[end:])
            if equals and not value.translate(None, _UNRESERVED) and self._is_token_at(place):
                self._learned = (len(place[0]), len(place[1]))
                self._words = {place: asked}
                return
            begin = end + 1

    def _is_token_at(self, place: tuple[bytes, bytes]) -> bool:
        route = self.route
        if route is None or route.read is None:
            return False
        before, after = place
        try:
            probe = route.read(self.request(RequestId(""), before + _PROBE + after, oversized=False))
        except Refusal:
            return False
        return isinstance(probe, Question) and probe.token.sha256() == _PROBE_DIGEST


def _route_of(routes: Mapping[str, CompiledRoute], method: str) -> CompiledRoute | None:
    wanted = "GET" if method == "HEAD" else method
    return routes.get(wanted) or next(iter(routes.values()), None)
