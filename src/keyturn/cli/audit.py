"""``keyturn audit``: the audit trail."""

from typing import Annotated

import typer

from keyturn.cli.command import noun, verb
from keyturn.cli.output import Answer, Row, instant
from keyturn.cli.verbs import Verbs
from keyturn.core.errors import OperatorError
from keyturn.core.records import AuditRow

app = noun("The audit trail.")


def _shown(row: AuditRow) -> Row:
    return {
        "at": instant(row.at),
        "chain": row.chain,
        "seq": row.seq,
        "kind": row.kind,
        "actor": row.actor,
        "outcome": row.outcome,
        "reason": row.reason,
        "organisation_id": row.organisation_id,
        "subject": row.subject,
        "request_id": row.request_id,
        "details": row.details,
    }


@verb(app)
async def tail(
    verbs: Verbs, limit: Annotated[int, typer.Option("--limit", "-n", help="How many rows.")] = 20
) -> Answer:
    """Show the newest rows, oldest first; personal fields stay sealed."""
    return [_shown(each) for each in await verbs.tail_audit(limit)]


@verb(app)
async def verify(verbs: Verbs) -> Answer:
    """Follow every chain from its first row; exit code 1 where one is broken."""
    verdicts = await verbs.verify_audit()
    broken = [f"{each.chain} at row {each.broken_at}" for each in verdicts if each.broken_at is not None]
    if broken:
        raise OperatorError(f"the audit trail is broken: chain {'; chain '.join(broken)}")
    return [{"chain": each.chain, "rows": each.rows, "intact": True} for each in verdicts]
