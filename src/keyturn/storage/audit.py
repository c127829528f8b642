"""The audit trail's chain: how a row is encoded, hashed, linked and verified. Pure.

``row_hash`` is SHA-256 over ``prev_hash`` and the JSON array of every other kept field, in the order of
``encoding``, with sorted keys in ``details`` and ``sealed_personal`` in base64. Whoever alters, removes,
inserts or moves a row breaks every link after it. Rows cut off at the end of a chain are not seen here; that
is what signed checkpoints are for. Source: design.md section 4; AD-05.
"""

import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Raw

from keyturn.core.records import AuditEvent, AuditRow
from keyturn.storage.schema import micros

FIRST_PREV_HASH = bytes(32)
"""What the first row of a chain is linked to."""

_encode = msgspec.json.Encoder(order="deterministic").encode


class Tail(msgspec.Struct, frozen=True):
    """Where a chain ends: what the next row is linked to."""

    chain: str
    seq: int = 0
    row_hash: bytes = FIRST_PREV_HASH


def link(tail: Tail, event: AuditEvent, sealed_personal: bytes | None) -> AuditRow:
    """Make the row that follows a chain's tail.

    Raises:
        UnicodeEncodeError: The event holds text that is no text (a lone surrogate).
    """
    linked = columns_after(tail, event, sealed_personal)
    return AuditRow(
        chain=tail.chain,
        seq=linked[0],
        at=event.at,
        kind=event.kind,
        actor=event.actor,
        request_id=event.request_id,
        outcome=event.outcome,
        organisation_id=event.organisation_id,
        subject=event.subject,
        reason=event.reason,
        details=event.details,
        sealed_personal=sealed_personal,
        prev_hash=tail.row_hash,
        row_hash=linked[-1],
    )


Columns = tuple[Any, ...]
"""A row as it is kept, from ``seq`` to ``row_hash`` in the order of the table: the chain goes before it."""


def columns_after(tail: Tail, event: AuditEvent, sealed_personal: bytes | None) -> Columns:
    """Make the row that follows a chain's tail as its columns; every token writes one.

    Raises:
        UnicodeEncodeError: The event holds text that is no text (a lone surrogate).
    """
    seq, at, details = tail.seq + 1, micros(event.at), _encode(event.details)
    kind, actor, request_id, outcome = event.kind, event.actor, event.request_id, event.outcome
    concerns = event.organisation_id, event.subject, event.reason
    digest = _row_hash(
        tail.row_hash,
        (tail.chain, seq, at, kind, actor, request_id, outcome, *concerns, Raw(details), sealed_personal),
    )
    texts = (kind, actor, request_id, outcome, *concerns, details.decode())
    return (seq, at, *texts, sealed_personal, tail.row_hash, digest)


def without_nul(event: AuditEvent) -> AuditEvent:
    """Put U+FFFD in place of each NUL, for a database that takes none.

    Requests with one are refused before they get here (HT-02); were one forgotten, it must not keep the rows
    of everybody else out.
    """
    texts = ((name, getattr(event, name)) for name in _TEXTS)
    clean = {name: text.replace("\0", "\ufffd") for name, text in texts if text is not None and "\0" in text}
    return msgspec.structs.replace(event, **clean) if clean else event


_TEXTS = ("kind", "actor", "request_id", "outcome", "organisation_id", "subject", "reason")
"""What is kept as it is; details and personal fields are kept as JSON, which has no NUL."""


def hash_of(row: AuditRow) -> bytes:
    """Compute what ``row.row_hash`` must be."""
    return _row_hash(
        row.prev_hash,
        (
            row.chain,
            row.seq,
            micros(row.at),
            row.kind,
            row.actor,
            row.request_id,
            row.outcome,
            row.organisation_id,
            row.subject,
            row.reason,
            row.details,
            row.sealed_personal,
        ),
    )


def verify_chain(rows: Iterable[AuditRow], after: Tail | None = None) -> int | None:
    """Find where a chain is broken.

    Args:
        rows: One chain's rows in the order of ``seq``.
        after: The tail of what was verified before, to go on page by page; None from the chain's start.

    Returns:
        The first ``seq`` that is missing, out of place or altered; None if every row holds.
    """
    tail = after
    for row in rows:
        if tail is None:
            tail = Tail(row.chain)
        sound = row.chain == tail.chain and row.seq == tail.seq + 1 and row.prev_hash == tail.row_hash
        if not sound or hash_of(row) != row.row_hash:
            return tail.seq + 1
        tail = Tail(row.chain, row.seq, row.row_hash)
    return None


def _row_hash(prev_hash: bytes, fields: tuple[object, ...]) -> bytes:
    return hashlib.sha256(prev_hash + _encode(fields)).digest()
