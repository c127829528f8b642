"""The verbs that only make sense on the deployment's own machine: over a server they are refused, in words.

A new verb of ``Verbs`` stands here until the admin API has a call for it; whoever adds one is told by mypy.
"""

from typing import Any, NoReturn

from keyturn.core.errors import OperatorError


class OnTheMachine:
    """The part of ``Verbs`` that no server carries out."""

    async def make_setup_token(self) -> NoReturn:
        """Whoever has an admin token needs none."""
        _refuse("a setup token is made")

    async def inspect(self, *_: Any) -> NoReturn:
        """A token is shown to nobody but whoever has the store."""
        _refuse("a token is looked up")

    async def verify_audit(self, *_: Any) -> NoReturn:
        """Whoever may have altered the trail would answer."""
        _refuse("the audit trail is verified")

    async def audit_key(self) -> NoReturn:
        """As for the trail itself."""
        _refuse("the audit key is shown")

    async def run_upkeep(self, *_: Any) -> NoReturn:
        """The server's own processes do it."""
        _refuse("upkeep is run")

    async def upkeep_states(self) -> NoReturn:
        """The server's metrics tell."""
        _refuse("upkeep is looked at")

    async def clock(self) -> NoReturn:
        """It is that machine's."""
        _refuse("the clock is looked at")

    async def accept_clock(self) -> NoReturn:
        """It is that machine's."""
        _refuse("the clock is accepted")

    async def master_keys(self) -> NoReturn:
        """The keys are where the store is."""
        _refuse("master keys are looked at")

    async def add_master_key(self) -> NoReturn:
        """No key goes over a network."""
        _refuse("a master key is made")

    async def rotate_master_key(self, *_: Any) -> NoReturn:
        """No key goes over a network."""
        _refuse("the master key is rotated")

    async def retire_master_key(self, *_: Any) -> NoReturn:
        """No key goes over a network."""
        _refuse("a master key is retired")

    async def audit_since(self, *_: Any) -> NoReturn:
        """A server is asked, it does not tell by itself."""
        _refuse("the audit trail is followed")

    def export_audit(self, *_: Any) -> NoReturn:
        """What is to be checked elsewhere comes from the store itself."""
        _refuse("the audit trail is exported")


def _refuse(what: str) -> NoReturn:
    raise OperatorError(f"{what} on the deployment's own machine only, not through a server")
