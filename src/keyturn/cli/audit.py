"""``keyturn audit``: the audit trail."""

from collections.abc import Iterator
from typing import Annotated

import typer

from keyturn.cli.command import noun, verb
from keyturn.cli.output import Answer, Row, instant
from keyturn.cli.verbs import Verbs
from keyturn.core.errors import OperatorError
from keyturn.core.records import AuditRow
from keyturn.directory.audit import ChainVerdict, TrailVerdict

app = noun(
    "The audit trail.",
    "keyturn audit tail -n 50",
    "keyturn audit verify",
)

_DIGEST_BYTES = 32


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


@verb(app, columns="at chain seq kind actor outcome reason organisation_id subject request_id details")
async def tail(
    verbs: Verbs, limit: Annotated[int, typer.Option("--limit", "-n", help="How many rows.")] = 20
) -> Answer:
    """Show the newest rows, oldest first; personal fields stay sealed."""
    return [_shown(each) for each in await verbs.tail_audit(limit)]


def _noted(text: str) -> tuple[int, bytes]:
    """Read a checkpoint as the log names it."""
    seq, _, digest = text.partition(":")
    try:
        read = int(seq), bytes.fromhex(digest)
    except ValueError:
        read = 0, b""
    if read[0] < 1 or len(read[1]) != _DIGEST_BYTES:
        raise typer.BadParameter("a checkpoint's number, a colon, and its hash in 64 hexadecimal digits")
    return read


@verb(app)
async def verify(
    verbs: Verbs,
    noted: Annotated[
        list[str],
        typer.Option(metavar="NUMBER:HASH", help="A checkpoint noted elsewhere, as in the log; repeatable."),
    ] = [],  # noqa: B006  # typer copies
    every: Annotated[bool, typer.Option("--all", help="Show each chain.")] = False,  # a flag
) -> Answer:
    """Follow every chain and every signed checkpoint; exit code 1 where one is broken.

    Rows after the newest checkpoint are linked but not signed. That the newest checkpoints were not removed
    with all that came after, only one that was noted elsewhere can show.
    """
    verdict = await verbs.verify_audit(dict(map(_noted, noted)))
    if not verdict.intact:
        raise OperatorError("the audit trail is broken: " + "; ".join(_problems(verdict)))
    return [*map(_chain, verdict.chains)] if every else _summary(verdict)


def _chain(verdict: ChainVerdict) -> Row:
    return {"chain": verdict.chain, "rows": verdict.rows, "signed_to": verdict.signed, "intact": True}


def _summary(verdict: TrailVerdict) -> Row:
    newest = verdict.newest
    return {
        "intact": True,
        "chains": len(verdict.chains),
        "rows": sum(each.rows for each in verdict.chains),
        "rows_not_signed_yet": sum(max(0, each.last - each.signed) for each in verdict.chains),
        "newest_checkpoint": f"{newest.seq}:{newest.digest.hex()}" if newest else None,
        "signed_at": instant(newest.at) if newest else None,
    }


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
