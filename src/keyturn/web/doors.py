"""What the head of a request leads to, worked out once for each head that a connection keeps.

Reading is pure: the same head with the same body asks for the same. So a door also keeps what was asked last,
and a request that repeats it is read by a look-up. One that differs in its token only (``wire/blanks.py``) is
read by putting that in its place. Only the reading is kept: whether the caller may have what it asks is found
out each time. A door lives as long as its connection, and so do the secrets that it keeps.
"""

from collections.abc import Mapping, Sequence
from itertools import islice

from msgspec.structs import replace

from keyturn.core.errors import Refusal
from keyturn.core.requests import Question, TokenRequest
from keyturn.core.secret import Secret
from keyturn.core.vocabulary import RequestId
from keyturn.web.cycle import Head
from keyturn.wire.ask import Asked
from keyturn.wire.blanks import PROBE, TOKEN_LENGTHS, Blank, asked_for, blanks_for, is_probe_of, token_of
from keyturn.wire.compile import CompiledRoute, Match
from keyturn.wire.http import HeadNotes, WireRequest

BODY_KEPT_BYTES = 4096
PLACES_TRIED = 2
"""Each costs a reading, and anybody can send a body that has its token's letters everywhere."""


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
        "_another",
        "_head",
        "_learned",
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
        self._another: tuple[Blank, TokenRequest | Question] | None = None
        self._learned = False
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
            filled = self._head.filled
            if filled is not None:
                return asked_for(asked, filled, request_id)
            return replace(asked, origin=replace(asked.origin, request_id=request_id))
        if self._another is None:
            return None
        blank, asked = self._another
        token = blank.value_in(body)
        return None if token is None else asked_for(asked, token, request_id)

    def keep(self, body: bytes, asked: Asked) -> None:
        """Keep what a body asks for, if it is short and of a kind that nobody takes apart."""
        if len(body) > BODY_KEPT_BYTES or not isinstance(asked, TokenRequest | Question):
            return
        # What is learned is learned by the first, and a blank in the head was tried with one body only.
        if self._head.first is not None or self._head.blank is not None:
            return
        # At the second one, for many a caller asks once and goes; where the head has it, each is a first one.
        token = None if self._learned else token_of(asked)
        if token is not None and (self._said or len(body) < TOKEN_LENGTHS.start):
            self._learn(body, asked, token)
        self._said = {body: asked}

    def beside(self, head: Head) -> "Door":
        """Give the door of a head that is this one's but for the token in its blank."""
        door = Door(head, self.path, self._match, self.address)
        door._said = self._said
        return door

    def _learn(self, body: bytes, asked: TokenRequest | Question, token: Secret) -> None:
        """Find out where the token stands: the reader says, asked about a probe in each place it may stand.

        Where it stands nowhere as it is (escaped, say) nothing is learned and each request is read; to try
        once is enough.
        """
        self._learned = True
        for blank in islice(blanks_for(body, token), PLACES_TRIED):
            if self._reads(self, blank.filled(PROBE), asked):
                self._another = blank, asked
                return
        head = self._head
        places = list(islice(blanks_for(head.raw, token), 2))
        if len(places) == 1:  # twice, and one header would be taken for the other
            head.blank = places[0]
            probe = head.refilled(head.blank.filled(PROBE))
            if probe is None or not self._reads(self.beside(probe), body, asked):
                head.blank = None

    @staticmethod
    def _reads(door: "Door", body: bytes, asked: TokenRequest | Question) -> bool:
        """Tell whether what comes in by a door is the same wish, for the probe."""
        if door.route is None or door.route.read is None:
            return False
        try:
            probe = door.route.read(door.request(asked.origin.request_id, body, oversized=False))
        except Refusal:
            return False
        return is_probe_of(probe, asked)


def _route_of(routes: Mapping[str, CompiledRoute], method: str) -> CompiledRoute | None:
    wanted = "GET" if method == "HEAD" else method
    return routes.get(wanted) or next(iter(routes.values()), None)
