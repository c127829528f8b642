"""What the commands about the audit trail ask for: the part of ``Verbs`` on looking at it."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from keyturn.core.store_ports import AuditHit, AuditWish
from keyturn.directory.audit_export import ExportWish, Record
from keyturn.directory.audit_search import Found
from keyturn.directory.explain import Explained


class AuditVerbs(Protocol):
    """What can be asked of the audit trail."""

    async def explain(self, request_id: str) -> Explained:
        """Say what became of a request."""
        ...

    async def search_audit(self, wish: AuditWish, slug: str | None) -> Found:
        """Find rows, newest first; those of one organisation where it is named."""
        ...

    async def audit_since(self, position: int | None) -> tuple[Sequence[AuditHit], int]:
        """Read what came after a position, oldest first, and tell where that ends; None for now."""
        ...

    def export_audit(self, wish: ExportWish) -> AsyncIterator[Record]:
        """Give the trail as records that somebody else can check."""
        ...
