"""Signatures in company: the tokens that a turn of the event loop brings are signed one after the other."""

import asyncio
from asyncio import Future
from functools import partial

from keyturn.core.ports import Signer
from keyturn.exchange.company import Company
from keyturn.tokens.encode import Claims, encode_token


class Signing:
    """Signs tokens; used on the event loop."""

    def __init__(self) -> None:
        """Begin with nothing to sign."""
        self._company = Company()

    def token(self, claims: Claims, signer: Signer, header_type: str) -> Future[str]:
        """Sign claims as a JWT; the arguments are those of ``encode_token``."""
        return self._company.do(encode_token, claims, signer, header_type)

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
