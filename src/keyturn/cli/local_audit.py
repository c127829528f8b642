"""The verbs about looking at the audit trail, carried out on a deployment's own store."""

from collections.abc import AsyncIterator, Sequence

import msgspec

from keyturn.cli.local_ground import LocalGround
from keyturn.core.store_ports import AuditHit, AuditWish
from keyturn.directory.audit import check_reach
from keyturn.directory.audit_export import ExportWish, Record, export_audit
from keyturn.directory.audit_search import Found, search_audit
from keyturn.directory.explain import Explained, explain
from keyturn.directory.organisations import show_organisation

_AT_ONCE = 1_000


class LocalAudit(LocalGround):
    """The ``AuditVerbs`` of one open deployment."""

    async def explain(self, request_id: str) -> Explained:
        """Say what became of a request."""
        status_of = self._services.status_of
        return await explain(self._actor, self._store, request_id, status_of=status_of, **self._at)

    async def search_audit(self, wish: AuditWish, slug: str | None) -> Found:
        """Find rows, newest first; those of one organisation where it is named."""
        if slug is not None:
            organisation = await show_organisation(self._actor, self._store, slug)
            wish = msgspec.structs.replace(wish, organisation_id=organisation.id)
        return await search_audit(self._actor, self._store, wish, **self._at)

    async def audit_since(self, position: int | None) -> tuple[Sequence[AuditHit], int]:
        """Read what came after a position, oldest first, and tell where that ends; None for now."""
        check_reach(self._actor)
        last = await self._services.store.upkeep.settled_to()
        if position is None or position >= last:
            return [], last
        upto = min(position + _AT_ONCE, last)
        wish = AuditWish(after=position, before=upto + 1, limit=_AT_ONCE, opened=False)
        return [*reversed(await self._store.audit_hits(wish))], upto

    async def export_audit(self, wish: ExportWish) -> AsyncIterator[Record]:
        """Give the trail as records that somebody else can check."""
        key = await self._services.audit_keys.find()
        async for record in export_audit(
            self._actor,
            self._store,
            self._services.store.upkeep,
            wish,
            key=None if key is None else key.public_jwk,
            **self._at,
        ):
            yield record
