"""Signatures in company: the tokens that a turn of the event loop brings are signed one after the other.

A signature reads tables that fill the processor's caches, so whatever runs after it is slow for a while: as
much again as the signature itself takes. Signed together, a turn's requests pay for that once.
"""

import asyncio
from asyncio import AbstractEventLoop, Future
from functools import partial

from keyturn.core.ports import Signer
from keyturn.tokens.encode import Claims, encode_token


class Signing:
    """Signs what waits once the event loop has run all that is ready now; used on the event loop."""

    def __init__(self) -> None:
        """Begin with nothing to sign."""
        self._loop: AbstractEventLoop | None = None
        self._waiting: list[tuple[Future[str], Claims, Signer, str]] = []

    def token(self, claims: Claims, signer: Signer, header_type: str) -> Future[str]:
        """Sign claims as a JWT; the arguments are those of ``encode_token``."""
        loop = self._loop
        if loop is None or not self._waiting:  # asked for each time, the loop would cost a system call each
            self._loop = loop = asyncio.get_running_loop()
            loop.call_soon(self._sign)
        future: Future[str] = loop.create_future()
        self._waiting.append((future, claims, signer, header_type))
        return future

    async def token_elsewhere(self, claims: Claims, signer: Signer, header_type: str) -> Future[str]:
        """Sign with a key that is not in this process; it is done when this returns.

        So no row tells of a token that could not be signed.

        Raises:
            Unavailable: The key cannot be used now.
        """
        if signer.elsewhere is None:
            return self.token(claims, signer, header_type)
        signed: Future[str] = asyncio.get_running_loop().create_future()
        signed.set_result(await signer.elsewhere(partial(encode_token, claims, signer, header_type)))
        return signed

    def _sign(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future, claims, signer, header_type in waiting:
            if future.done():  # whoever asked has left
                continue
            try:
                future.set_result(encode_token(claims, signer, header_type))
            except Exception as error:  # noqa: BLE001 - it is told to the one who asked
                future.set_exception(error)
