"""A credential's first use of a day where no unit carries it: a question saves nothing of its own.

Nobody waits for it and nobody is refused if it fails: a lost day is noted with the next question.
"""

import asyncio
from asyncio import Task
from datetime import date, datetime
from functools import partial

from keyturn.core.changes import Unit
from keyturn.core.errors import KeyturnError
from keyturn.core.ports import Recorder
from keyturn.core.records import AuditEvent
from keyturn.core.requests import Proof, Question
from keyturn.core.vocabulary import CredentialId
from keyturn.exchange.recording import first_use


class Uses:
    """The uses on their way to the store: one at most for each credential and day."""

    def __init__(self) -> None:
        """Start with none."""
        self._under_way: dict[tuple[CredentialId, date], Task[None]] = {}

    def note(self, question: Question, proof: Proof, recorder: Recorder, now: datetime) -> None:
        """Have the day of a question's credential written, unless it is written or under way."""
        for touch in first_use(proof, now):
            place = (touch.credential_id, touch.day)
            if place not in self._under_way:
                unit = Unit(changes=(touch,), audit=_event(question, proof, now))
                task = asyncio.get_running_loop().create_task(_write(unit, recorder))
                self._under_way[place] = task
                task.add_done_callback(partial(self._written, place))

    def _written(self, place: tuple[CredentialId, date], _: Task[None]) -> None:
        del self._under_way[place]


async def _write(unit: Unit, recorder: Recorder) -> None:
    try:
        await recorder.record(unit)
    except KeyturnError:
        return


def _event(question: Question, proof: Proof, now: datetime) -> AuditEvent:
    origin = question.origin
    return AuditEvent(
        at=now,
        kind="credential.used",
        actor="client:" + proof.client.id,
        request_id=origin.request_id,
        organisation_id=proof.organisation.id,
        subject=proof.credential.id if proof.credential else None,
        details={"dialect": origin.dialect, "route": origin.route},
        personal={"address": origin.address},
    )
