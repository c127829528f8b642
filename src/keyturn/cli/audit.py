"""``keyturn audit``: the audit trail."""

from collections.abc import Iterator
from typing import Annotated

import typer

from keyturn.cli.command import noun, verb
from keyturn.cli.output import Answer, Row, instant
from keyturn.cli.verbs import Verbs
from keyturn.core.errors import OperatorError
from keyturn.core.records import AuditRow
from keyturn.directory.audit import TrailVerdict

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
    """Follow every chain and every signed checkpoint; exit code 1 where one is broken."""
    verdict = await verbs.verify_audit()
    if not verdict.intact:
        raise OperatorError("the audit trail is broken: " + "; ".join(_problems(verdict)))
    return [
        {"chain": each.chain, "rows": each.rows, "signed_to": each.signed, "intact": True}
        for each in verdict.chains
    ]


def _problems(verdict: TrailVerdict) -> Iterator[str]:
    if verdict.problem is not None:
        yield f"checkpoint {verdict.broken_checkpoint} {verdict.problem}"
    for each in verdict.chains:
        if each.broken_at is not None:
            yield f"chain {each.chain} at row {each.broken_at}" + (
                " or before it: written anew after it was signed" if each.written_anew else ""
            )


@verb(app)
async def key(verbs: Verbs) -> Answer:
    """Show the public half of the key that signs checkpoints (RFC 8037)."""
    public = await verbs.audit_key()
    if public is None:
        raise OperatorError("there is no audit key yet: the first checkpoint makes it")
    return dict(public)
