"""Requests that repeat all but one token: who renews a token, or asks about many, sends another each time.

A text of which one stretch may differ is a blank. Whoever keeps one has asked a reader whether what stands
there is the token (``web/doors.py``); as letters of a token divide nothing in a form, in JSON or in a header,
any other of them would be read like that one.
"""

import re
from collections.abc import Iterator
from hashlib import sha256
from typing import Final

from msgspec.structs import replace

from keyturn.core.requests import Question, TokenRequest
from keyturn.core.secret import Secret
from keyturn.core.vocabulary import CredentialKind, RequestId

PROBE: Final = b"a-token-that-was-never-made"
_PROBE_DIGEST: Final = sha256(PROBE).digest()
_UNRESERVED: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
"""What a form spells as it is and divides nothing by (RFC 3986 section 2.3); tokens are made of it."""
TOKEN_LENGTHS: Final = range(16, 2001)
"""A token of another length is read anew: the readers' own bounds begin at 2 KiB."""
_STRETCH = re.compile(rb"[%b]{%d,%d}" % (re.escape(_UNRESERVED), TOKEN_LENGTHS.start, TOKEN_LENGTHS.stop - 1))


class Blank:
    """A text of which one stretch may differ.

    Like what is repeated whole, the rest is found by a keyed hash: the time that takes does not tell how far
    two requests agree. ``first`` is what was cut out.
    """

    __slots__ = ("_begin", "_rest", "_tail", "first")

    def __init__(self, text: bytes, begin: int, end: int) -> None:
        """Cut a stretch out."""
        self._begin = begin
        self._tail = len(text) - end
        self._rest = {(text[:begin], text[end:])}
        self.first = text[begin:end]

    def value_in(self, text: bytes) -> bytes | None:
        """Give what another text has in this place; None where it differs elsewhere or is no token there."""
        end = len(text) - self._tail
        value = text[self._begin : end]
        if (text[: self._begin], text[end:]) not in self._rest:
            return None
        return value if len(value) in TOKEN_LENGTHS and not value.translate(None, _UNRESERVED) else None

    def filled(self, value: bytes) -> bytes:
        """Give the text with another value in this place."""
        ((before, after),) = self._rest
        return before + value + after


def blanks_for(text: bytes, token: Secret) -> Iterator[Blank]:
    """Find the places where a token may stand as it is; for the probe itself every place would pass."""
    if token.sha256() == _PROBE_DIGEST:
        return
    for stretch in _STRETCH.finditer(text):
        if sha256(stretch[0]).digest() == token.sha256():
            yield Blank(text, *stretch.span())


def token_of(asked: TokenRequest | Question) -> Secret | None:
    """Give the token that is another in each request; what else a caller presents it repeats."""
    if isinstance(asked, Question):
        return asked.token
    if asked.credential.kind is CredentialKind.REFRESH_TOKEN and asked.client is not asked.credential:
        return asked.credential.secret
    return None


def is_probe_of(asked: object, of: TokenRequest | Question) -> bool:
    """Tell whether a request reads like another with the probe as its token."""
    if not isinstance(asked, TokenRequest | Question) or asked.origin != of.origin:
        return False
    token = token_of(asked)
    return type(asked) is type(of) and token is not None and token.sha256() == _PROBE_DIGEST


def asked_for(asked: TokenRequest | Question, value: bytes, request_id: RequestId) -> TokenRequest | Question:
    """Give what a request with another token in the blank asks for."""
    origin = replace(asked.origin, request_id=request_id)
    token = Secret(value.decode("ascii"))
    if isinstance(asked, Question):
        return replace(asked, origin=origin, token=token)
    return replace(asked, origin=origin, credential=replace(asked.credential, secret=token))
