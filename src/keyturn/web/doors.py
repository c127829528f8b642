"""What the head of a request leads to, worked out once for each head that a connection keeps.

Reading is pure: the same head with the same body asks for the same. So a door also keeps what was asked last,
and a request that repeats it is read by a look-up. Only the reading is kept: whether the caller may have what
it asks is found out each time. Where requests differ in one token only (``wire/blanks.py``), that is put into
what was asked. A door lives as long as its connection, and so do the secrets that it keeps.
"""

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from keyturn.core.requests import Question, TokenRequest
from keyturn.core.vocabulary import RequestId
from keyturn.web.cycle import Head
from keyturn.wire.ask import Asked
from keyturn.wire.blanks import Blank, asked_for, blank_in_body, blank_in_head
from keyturn.wire.compile import CompiledRoute, Match
from keyturn.wire.http import HeadNotes, WireRequest

BODY_KEPT_BYTES = 4096


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
        "_form",
        "_head",
        "_match",
        "_notes",
        "_params",
        "_said",
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
        self._match = match
        self._notes = HeadNotes()
        self._said: dict[bytes, TokenRequest | Question] = {}
        self._form: tuple[Blank, TokenRequest | Question] | None = None
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
        """Give what a body asks for that was read here before, as another request.

        Like heads, bodies are found by a keyed hash, whose time tells nothing of them.
        """
        asked = self._said.get(body)
        if asked is None:
            return None if self._form is None else self._another(*self._form, body, request_id)
        if self._head.filled is not None:
            return asked_for(asked, self._head.filled, request_id)
        return replace(asked, origin=replace(asked.origin, request_id=request_id))

    def _another(
        self, blank: Blank, asked: TokenRequest | Question, body: bytes, request_id: RequestId
    ) -> Asked | None:
        """Give what a body asks for that has another token where one was."""
        value = blank.value_in(body)
        return None if value is None else asked_for(asked, value, request_id)

    def keep(self, body: bytes, asked: Asked) -> None:
        """Keep what a body asks for, if it is short and of a kind that nobody takes apart."""
        head = self._head
        if head.first is not None or len(body) > BODY_KEPT_BYTES:
            return
        if not isinstance(asked, TokenRequest | Question):
            return
        self._said, self._form = {body: asked}, None
        if head.query:
            return  # a token may stand there too, in another spelling
        blank = blank_in_body(body, asked, (head.path, *(value for _, value in head.headers)))
        if blank is not None:
            self._form = blank, asked
        else:
            head.blank = blank_in_head(head.raw, asked, body)

    def beside(self, head: Head) -> "Door":
        """Give the door of a head that is this one's but for the secret in its blank."""
        door = Door(head, self.path, self._match, self.address)
        door._said = self._said
        return door


def _route_of(routes: Mapping[str, CompiledRoute], method: str) -> CompiledRoute | None:
    wanted = "GET" if method == "HEAD" else method
    return routes.get(wanted) or next(iter(routes.values()), None)
