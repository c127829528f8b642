"""``keyturn audit``: the audit trail."""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from msgspec import structs

from keyturn.app import check_chain, public_check
from keyturn.cli.audit_files import Spelling, read_key, records_of, writer
from keyturn.cli.command import noun, verb
from keyturn.cli.output import Answer, Format, Rolling, Row, instant
from keyturn.cli.secret import duration, moment
from keyturn.cli.verbs import Verbs
from keyturn.core.errors import OperatorError
from keyturn.core.records import AuditRow
from keyturn.core.store_ports import AuditHit, AuditWish
from keyturn.core.vocabulary import ClientId
from keyturn.directory.audit import MAX_TAIL, ChainVerdict, TrailVerdict
from keyturn.directory.audit_export import ExportWish, Record
from keyturn.directory.audit_file import FileCheck

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


COLUMNS = "at chain seq kind actor outcome reason organisation_id subject request_id details"
"""What ``_shown`` gives."""
POLL_SECONDS = 1.0


@verb(app, columns=COLUMNS)
async def tail(
    verbs: Verbs,
    form: Format,
    limit: Annotated[int, typer.Option("--limit", "--lines", "-n", help="How many rows.")] = 20,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with new rows until interrupted; JSON by lines.")
    ] = False,  # a flag
) -> Answer | None:
    """Show the newest rows, oldest first; personal fields stay sealed."""
    if not follow:
        return [_shown(each) for each in await verbs.tail_audit(limit)]
    _, place = await verbs.audit_since(None)
    rows = await verbs.tail_audit(limit)
    printed = {(row.chain, row.seq) for row in rows}  # some may have come after that place
    rolling = Rolling(form, COLUMNS.split(), [*map(_shown, rows)])
    with contextlib.suppress(asyncio.CancelledError):  # Ctrl-C is how this ends
        while True:
            hits, place = await verbs.audit_since(place)
            for hit in hits:
                if (hit.row.chain, hit.row.seq) not in printed:
                    rolling.print(_shown(hit.row))
            if not hits:
                await asyncio.sleep(POLL_SECONDS)
    return None


def when(text: str) -> datetime | timedelta:
    """Read an instant, or a duration before now."""
    return duration(text) if text[-1:] in "smhd" else moment(text)


When = datetime | timedelta | None


def _instant(given: When) -> datetime | None:
    return datetime.now(UTC) - given if isinstance(given, timedelta) else given


@verb(app, columns=COLUMNS)
async def search(
    verbs: Verbs,
    organisation: Annotated[
        str | None, typer.Option("--org", "--organisation", metavar="SLUG", help="Whose rows.")
    ] = None,
    client: Annotated[
        str | None, typer.Option(metavar="CLIENT_ID", help="What a client did, and what happened to it.")
    ] = None,
    actor: Annotated[str | None, typer.Option(help="Who, exactly, as operator:alice.")] = None,
    kind: Annotated[str | None, typer.Option(help="What happened, exactly, as token.refused.")] = None,
    subject: Annotated[str | None, typer.Option(help="The id of what it happened to.")] = None,
    outcome: Annotated[str | None, typer.Option(help="ok, or a public code as invalid_client.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why, as wrong_secret.")] = None,
    request_id: Annotated[str | None, typer.Option(help="Of one request.")] = None,
    since: Annotated[
        Any,
        typer.Option(
            parser=when, metavar="WHEN", help="An instant, or so long ago, as 24h.", show_default="7d"
        ),
    ] = None,
    until: Annotated[Any, typer.Option(parser=when, metavar="WHEN", help="Until when.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=MAX_TAIL, help="At most so many.")] = 50,
    personal: Annotated[
        bool, typer.Option("--personal", help="Open personal fields; the trail tells that you did.")
    ] = False,  # a flag
) -> Answer:
    """Find rows by what they say, newest first, within a time.

    There is no index: a long time on a busy deployment is read from one end to the other.
    """
    equal = {
        "actor": actor,
        "kind": kind,
        "subject": subject,
        "outcome": outcome,
        "reason": reason,
        "request_id": request_id,
    }
    wish = AuditWish(
        equal={name: value for name, value in equal.items() if value is not None},
        client=None if client is None else ClientId(client.lower()),
        since=_instant(since),
        until=_instant(until),
        limit=limit,
        opened=personal,
    )
    hits: list[AuditHit] = []
    before: int | None = None
    while len(hits) < limit:
        left = limit - len(hits)
        found = await verbs.search_audit(structs.replace(wish, before=before, limit=left), organisation)
        hits += found.hits
        before = found.next
        if before is None:
            break
    return [{**_shown(hit.row), **({"personal": hit.personal} if personal else {})} for hit in hits]


@verb(app)
async def export(
    verbs: Verbs,
    spelling: Annotated[Spelling, typer.Option("--as", help="How to spell it.")] = Spelling.JSONL,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="A new file; else standard output.")
    ] = None,
    after: Annotated[
        int, typer.Option(min=0, metavar="POSITION", help="Go on after where an export ended.")
    ] = 0,
    since: Annotated[
        Any, typer.Option(parser=when, metavar="WHEN", help="Only rows of this time and later.")
    ] = None,
    personal: Annotated[
        bool, typer.Option("--personal", help="Addresses and names in clear beside their sealed form.")
    ] = False,  # a flag
) -> Answer | None:
    """Write the trail with its chains and checkpoints, for keeping elsewhere and for checking there.

    `keyturn audit verify --file` checks it without the store. The last record says where to go on.
    """
    wish = ExportWish(after=after, since=_instant(since), personal=personal)
    with writer(output, spelling) as write:
        end: Record = {}
        async for record in verbs.export_audit(wish):
            write(record)
            end = record
    if output is None:
        return None
    told = {name: end[name] for name in ("rows", "checkpoints", "position")}
    return {"file": str(output), **told, "next": f"--after {end['position']}"}


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


def _verify_files(
    noted: list[str],
    every: bool,
    file: list[Path],
    key: Path | None,
) -> Answer | None:
    if not file:
        if key is not None:
            raise typer.BadParameter("--key goes with --file")
        return None
    given = None if key is None else read_key(key)
    check = FileCheck(check_chain, public_check, given, dict(map(_noted, noted)))
    for each in file:
        check.read(str(each), records_of(each))
    verdict = check.verdict()
    _require_intact(verdict.trail)
    if every:
        return [*map(_chain, verdict.trail.chains)]
    row = _summary(verdict.trail)
    row |= {"after": verdict.after, "position": verdict.to, "whole": verdict.whole}
    return {**row, "key_id": verdict.key_id, "key_from": "the file" if given is None else str(key)}


@verb(app, offline=_verify_files)
async def verify(
    verbs: Verbs,
    noted: Annotated[
        list[str],
        typer.Option(metavar="NUMBER:HASH", help="A checkpoint noted elsewhere, as in the log; repeatable."),
    ] = [],  # noqa: B006  # typer copies
    every: Annotated[bool, typer.Option("--all", help="Show each chain.")] = False,  # a flag
    file: Annotated[
        list[Path],
        typer.Option("--file", metavar="FILE", help="An export, instead of the store; its parts in order."),
    ] = [],  # noqa: B006  # the same
    key: Annotated[
        Path | None,
        typer.Option("--key", metavar="FILE", help="The key of `audit key`, noted elsewhere; for --file."),
    ] = None,
) -> Answer:
    """Follow every chain and every signed checkpoint; exit code 1 where one is broken.

    Rows after the newest checkpoint are linked but not signed. That the newest checkpoints were not removed
    with all that came after, only one that was noted elsewhere can show. An export is checked by the key that
    it names, unless you give the one that you noted.
    """
    del file, key  # without a file
    verdict = await verbs.verify_audit(dict(map(_noted, noted)))
    _require_intact(verdict)
    return [*map(_chain, verdict.chains)] if every else _summary(verdict)


def _require_intact(verdict: TrailVerdict) -> None:
    if not verdict.intact:
        raise OperatorError("the audit trail is broken: " + "; ".join(verdict.problems))


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


@verb(app)
async def key(verbs: Verbs) -> Answer:
    """Show the public half of the key that signs checkpoints (RFC 8037)."""
    public = await verbs.audit_key()
    if public is None:
        raise OperatorError("there is no audit key yet: the first checkpoint makes it")
    return dict(public)
