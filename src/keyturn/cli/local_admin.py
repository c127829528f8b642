"""The verbs about admin tokens, carried out on a deployment's own store."""

from collections.abc import Sequence

from keyturn.cli.local_ground import LocalGround, instant_of
from keyturn.cli.people_verbs import End
from keyturn.core.admin_records import AdminToken
from keyturn.core.secret import Secret
from keyturn.core.vocabulary import AdminTokenId
from keyturn.directory import admin_tokens
from keyturn.directory.admin_tokens import AdminTokenWish
from keyturn.directory.organisations import show_organisation


class LocalAdmin(LocalGround):
    """The part of ``Verbs`` that is about admin tokens."""

    async def create_admin_token(
        self, slug: str | None, name: str, scopes: Sequence[str], end: End
    ) -> tuple[AdminToken, Secret]:
        """Make an admin token, of one organisation or of the whole deployment; it is told once."""
        organisation = None if slug is None else await show_organisation(self._actor, self._store, slug)
        wish = AdminTokenWish(
            name=name,
            scopes=tuple(scopes),
            organisation_id=None if organisation is None else organisation.id,
            expires_at=instant_of(end, self._now),
        )
        digester = self._services.digester
        return await admin_tokens.create_admin_token(
            self._actor, self._store, wish, digester=digester, **self._at
        )

    async def admin_tokens(self) -> Sequence[AdminToken]:
        """List all admin tokens and setup tokens."""
        return await admin_tokens.list_admin_tokens(self._actor, self._store)

    async def end_admin_token(self, token_id: str, why: str) -> AdminToken:
        """End an admin token for good."""
        known = AdminTokenId(token_id.lower())
        return await admin_tokens.end_admin_token(self._actor, self._store, known, why, **self._at)

    async def make_setup_token(self) -> Secret:
        """Make the token that the first admin token is exchanged for."""
        digester = self._services.digester
        return await admin_tokens.make_setup_token(self._actor, self._store, digester=digester, **self._at)
