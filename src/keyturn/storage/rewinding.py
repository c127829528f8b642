"""What a store forgets of its own accord after it was set back: the same rules in SQL and for records.

A backup knows nothing of what was used, revoked or ended after it was made. So tokens and refresh families
end by the epochs of their organisations, which rise to the time: a store that is set back again and again
never comes to a number that it had before. One-time things that may have been used are over: passcodes up to
now, recovery codes, setup tokens, assertions that were issued before. Answers kept for idempotency keys go.
Status lists go with the tokens: a list would call valid whatever took its places after the backup was made.
Source: RE-02, RE-09; RFC 6238 section 5.2, RFC 7523 section 3.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, Table, and_, func, select

from keyturn.core.admin_records import AdminToken, KeptAnswer
from keyturn.core.changes import Record, Rewind
from keyturn.core.life import State
from keyturn.core.records import Credential, Organisation, Sealed, SigningKey
from keyturn.core.status_records import StatusBlock, StatusMark
from keyturn.core.totp import DRIFT_STEPS, step_at
from keyturn.core.vocabulary import CredentialKind
from keyturn.storage.admin_schema import ADMIN_TOKEN, KEPT_ANSWER
from keyturn.storage.schema import CREDENTIAL, ORGANISATION, SEALED, SIGNING_KEY, micros
from keyturn.storage.status_schema import STATUS_BLOCK, STATUS_MARK

WHY = "restored"
"""Why things ended that a restore ends."""
_AT_ONCE = 5_000
"""Rows of a table that one statement walks over: a server may allow it seconds only."""


def _spent_up_to(kind: CredentialKind, at: datetime) -> int:
    """Say up to where a guard's uses count as used: a device's steps, or seconds for a public key."""
    return step_at(at) + DRIFT_STEPS if kind is CredentialKind.TOTP else int(at.timestamp())


def _number_of(at: datetime) -> int:
    """Make an epoch of a time, in milliseconds: a second may see two restores."""
    return micros(at) // 1000


_GUARDED = (CredentialKind.TOTP, CredentialKind.PUBLIC_KEY)


def rewind_rows(connection: Connection, change: Rewind) -> None:
    """Carry a rewind out in SQL, inside the caller's transaction."""
    if not change.keep_tokens:
        _raise_epochs(connection, change.at)
        _forget_lists(connection)
    columns = CREDENTIAL.c
    for first, last in _walk(connection, CREDENTIAL):
        some = and_(columns.id >= first, columns.id <= last)
        for kind in _GUARDED:
            used = _spent_up_to(kind, change.at)
            older = and_(some, columns.kind == kind, func.coalesce(columns.accepted_step, -1) < used)
            guarded = CREDENTIAL.update().where(older)
            connection.execute(guarded.values(accepted_step=used, version=columns.version + 1))
        codes = and_(some, columns.kind == CredentialKind.RECOVERY_CODE, columns.state != State.ENDED)
        over = {"state": State.ENDED, "ended_at": change.at, "ended_why": WHY, "epoch": columns.epoch + 1}
        connection.execute(CREDENTIAL.update().where(codes).values(over | {"version": columns.version + 1}))
    tokens = ADMIN_TOKEN.c
    connection.execute(
        ADMIN_TOKEN.update()
        .where(tokens.setup, tokens.ended_at.is_(None))
        .values(ended_at=change.at, ended_why=WHY, version=tokens.version + 1)
    )
    connection.execute(KEPT_ANSWER.delete())
    if change.rings is not None:
        keys = SIGNING_KEY.c
        living = (keys.retires_at.is_(None)) | (keys.retires_at > change.at)
        connection.execute(SIGNING_KEY.update().where(living).values(retires_at=change.at))
        connection.execute(SEALED.delete().where(SEALED.c.purpose == change.rings))


def _raise_epochs(connection: Connection, at: datetime) -> None:
    columns = ORGANISATION.c
    highest = connection.execute(select(func.max(columns.epoch))).scalar() or 0
    epoch = max(_number_of(at), highest + 1)
    for first, last in _walk(connection, ORGANISATION):
        raised = ORGANISATION.update().where(columns.id >= first, columns.id <= last)
        connection.execute(raised.values(epoch=epoch, version=columns.version + 1))


def _forget_lists(connection: Connection) -> None:
    for table in (STATUS_BLOCK, STATUS_MARK):
        for first, last in _walk(connection, table):
            connection.execute(table.delete().where(table.c.id >= first, table.c.id <= last))


def _walk(connection: Connection, table: Table) -> Iterator[tuple[str, str]]:
    """Give the first and the last id of each stretch of a table."""
    done = ""
    while True:
        page = select(table.c.id).where(table.c.id > done).order_by(table.c.id).limit(_AT_ONCE).subquery()
        first, last = connection.execute(select(func.min(page.c.id), func.max(page.c.id))).one()
        if last is None:
            return
        yield first, last
        done = last


def rewind_records(rows: dict[Any, Record], change: Rewind) -> None:
    """Carry a rewind out on records in memory."""
    organisations = [each for each in rows.values() if isinstance(each, Organisation)]
    epoch = max([_number_of(change.at), *(each.epoch + 1 for each in organisations)])
    for place, record in list(rows.items()):
        gone = isinstance(record, Sealed) and record.purpose == change.rings
        listed = isinstance(record, StatusBlock | StatusMark) and not change.keep_tokens
        if gone or listed or isinstance(record, KeptAnswer):
            del rows[place]
        elif isinstance(record, Credential):
            rows[place] = _rewound_credential(record, change.at)
        else:
            rows[place] = _rewound(record, change, epoch)


def _rewound_credential(record: Credential, at: datetime) -> Credential:
    replace, version = msgspec.structs.replace, record.version + 1
    if record.kind in _GUARDED:
        used = _spent_up_to(record.kind, at)
        newer = (record.accepted_step or -1) >= used
        return record if newer else replace(record, accepted_step=used, version=version)
    if record.kind is CredentialKind.RECOVERY_CODE and record.life.state is not State.ENDED:
        return replace(record, life=record.life.ended(at, WHY), epoch=record.epoch + 1, version=version)
    return record


def _rewound(record: Record, change: Rewind, epoch: int) -> Record:
    replace, at = msgspec.structs.replace, change.at
    match record:
        case Organisation() if not change.keep_tokens:
            return replace(record, epoch=epoch, version=record.version + 1)
        case AdminToken(setup=True, ended_at=None):
            return replace(record, ended_at=at, ended_why=WHY, version=record.version + 1)
        case SigningKey() if change.rings is not None and (record.retires_at or at) >= at:
            return replace(record, retires_at=at)
    return record
