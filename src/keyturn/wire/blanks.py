"""Requests that repeat all but one secret: who renews a token, or asks about many, sends another each time.

Where that secret stands as it is, any text of the same length without a character of meaning may stand: it
ends no field and begins no other, in a form, in JSON or in a header. So what was read once reads the same
with another secret in its place. Like what is repeated whole, the rest is found by a keyed hash: the time
that takes does not tell how far two requests agree.
"""

from collections.abc import Iterable

from msgspec.structs import replace

from keyturn.core.requests import PresentedCredential, Question, TokenRequest
from keyturn.core.secret import Secret
from keyturn.core.vocabulary import CredentialKind, RequestId

_MARKS = b"._-"
"""What a token has beside letters and digits; it means nothing to any parser of ours."""


class Blank:
    """A text of which one stretch may differ.

    Args:
        text: As it was read.
        value: The one stretch, as it stands there once.
    """

    __slots__ = ("_begin", "_end", "_hash", "_rest")

    def __init__(self, text: bytes, value: bytes) -> None:
        """Cut the stretch out."""
        self._begin = text.index(value)
        self._end = self._begin + len(value)
        self._rest = text[: self._begin] + text[self._end :]
        self._hash = hash(self._rest)

    def value_in(self, text: bytes) -> bytes | None:
        """Give what another text has in this place; None where it differs elsewhere or divides something."""
        rest = text[: self._begin] + text[self._end :]
        if hash(rest) != self._hash or rest != self._rest:
            return None
        value = text[self._begin : self._end]
        return value if value.translate(None, _MARKS).isalnum() else None


def blank_in_body(body: bytes, asked: TokenRequest | Question, head: Iterable[bytes]) -> Blank | None:
    """Find the blank for a token in a form or JSON object; None where another reading is thinkable.

    Without escapes a value stands in the body as it is, so if it is there once and nowhere in the head, that
    is its place.

    Args:
        head: The target and the values of the fields before the body.
    """
    value = _token_of(asked)
    if value is None or b"%" in body or b"\\" in body or body.count(value) != 1:
        return None
    return None if any(value in each for each in head) else Blank(body, value)


def blank_in_head(raw: bytes, asked: TokenRequest | Question, body: bytes) -> Blank | None:
    """Find the blank for a token that is all of one header's value, and nowhere in the body."""
    value = _token_of(asked)
    if value is None or raw.count(value) != 1 or b": %b\r\n" % value not in raw or value in body:
        return None
    return Blank(raw, value)


def _token_of(asked: TokenRequest | Question) -> bytes | None:
    """Give the token that is another in each request; what else a caller presents it repeats."""
    if isinstance(asked, Question):
        clear = asked.token.reveal()
    elif asked.credential.kind is CredentialKind.REFRESH_TOKEN and asked.client is not asked.credential:
        clear = asked.credential.secret.reveal()
    else:
        return None
    value = clear.encode()
    return value if value.translate(None, _MARKS).isalnum() else None


def asked_for(asked: TokenRequest | Question, value: bytes, request_id: RequestId) -> TokenRequest | Question:
    """Give what a request with another token in the blank asks for."""
    origin = replace(asked.origin, request_id=request_id)
    token = Secret(value.decode("ascii"))
    if isinstance(asked, Question):
        return replace(asked, origin=origin, token=token)
    shown = asked.credential
    credential = PresentedCredential(kind=shown.kind, secret=token, owner=shown.owner, named=shown.named)
    return replace(asked, origin=origin, credential=credential)
