"""Imports: a file of owners and secrets of another system, all of it or nothing, in one unit.

Whatever is refused, nothing is changed; a row that is here already changes nothing; the second time a file
does nothing at all. A dry run does everything but the last step.
"""

import asyncio
from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime

import msgspec

from keyturn.core.actors import Actor
from keyturn.core.changes import AddMany, Imported, Lost, Unit
from keyturn.core.errors import Clash
from keyturn.core.identifiers import uuid7
from keyturn.core.ports import Passwords
from keyturn.core.records import AuditEvent, Client, Credential, Entity, User
from keyturn.core.secret import Dice, Secret
from keyturn.core.store_ports import DeploymentStore
from keyturn.core.vocabulary import Code, CredentialKind, OrganisationId
from keyturn.directory.events import told
from keyturn.directory.import_plan import Outcome, Plan, Verdict
from keyturn.directory.import_rows import FileForm, read_lines
from keyturn.directory.import_secrets import ImportPorts
from keyturn.directory.owners import living_organisation, raise_version

_TAKEN_TOLD = 1_000
"""Names that are somebody else's, of which each is told; asking costs a look at the store each."""
_HASHED_TOGETHER = 8


class ImportReport(msgspec.Struct, frozen=True, kw_only=True):
    """What an import came to.

    Args:
        done: Whether anything was changed: never in a dry run, nor where a row was refused or all is here.
        digest: A keyed digest of the file, under which the audit trail knows it; a plain one would let a
            reader of the trail try what the file may hold.
    """

    verdicts: Sequence[Verdict]
    done: bool
    digest: str

    def count(self, outcome: Outcome) -> int:
        """Say of how many rows that became."""
        return sum(each.outcome is outcome for each in self.verdicts)


async def import_file(
    actor: Actor,
    store: DeploymentStore,
    organisation_id: OrganisationId,
    body: bytes,
    form: FileForm,
    *,
    ports: ImportPorts,
    reserved: Collection[str],
    roles: Collection[str],
    client_dialects: Collection[str],
    dry_run: bool,
    now: datetime,
    dice: Dice,
) -> ImportReport:
    """Import a file into an organisation, all or nothing.

    Args:
        reserved: Client ids that a contract's built-in clients have.
        roles: All that the dialects declare.
        client_dialects: Wire formats that a client may have.

    Raises:
        OperatorError: The file cannot be read, or somebody else changed the same in the same moment.
    """
    actor = msgspec.structs.replace(actor, request_id=actor.request_id or uuid7(now, dice))
    organisation = await living_organisation(actor, store.organisation_store(organisation_id))
    lines = read_lines(body, form)
    plan = Plan(
        actor,
        store,
        organisation,
        ports,
        reserved=reserved,
        roles=roles,
        client_dialects=client_dialects,
        now=now,
        dice=dice,
    )
    await plan.follow(lines)
    await _refuse_taken(plan, store)
    verdicts = plan.verdicts()
    report = ImportReport(verdicts=verdicts, done=False, digest=ports.digester.tag(body).hex())
    if dry_run:
        return report
    refused = report.count(Outcome.REFUSED) > 0
    event = _event(actor, organisation.id, report, form, plan, refused=refused, now=now, dice=dice)
    inside = store.organisation_store(organisation.id)
    if refused or not plan.records:
        await inside.record(Unit(audit=event))
        return report
    records = await _hashed(plan, ports.passwords)
    grown = [raise_version(owner) for owner in plan.grown.values()]
    unit = Unit(
        changes=(*grown, AddMany(organisation.id, records)), audit=event, also=tuple(plan.events.values())
    )
    if isinstance(await inside.record(unit), Lost):
        raise Clash(
            "somebody else changed the same in the same moment and nothing was done; repeat", lost_race=True
        )
    return msgspec.structs.replace(report, done=True)


async def _refuse_taken(plan: Plan, store: DeploymentStore) -> None:
    """Refuse rows whose names others have, other organisations' too, without saying whose they are."""
    records = dict(plan.records)
    for _ in range(_TAKEN_TOLD):
        holder = await store.taken_by([record for _, record in records.values()])
        if holder is None:
            return
        for key, (number, record) in list(records.items()):
            if _clash(record, holder):
                plan.refuse(
                    number, "its id, user name or e-mail address is taken, perhaps by one that has ended"
                )
                del records[key]


def _clash(record: Imported, holder: object) -> bool:
    if type(record) is not type(holder):
        return False
    if isinstance(record, User) and isinstance(holder, User):
        same_name = (record.organisation_id, record.name) == (holder.organisation_id, holder.name)
        return same_name or (record.email is not None and record.email == holder.email)
    return record.id == getattr(holder, "id", None)


async def _hashed(plan: Plan, passwords: Passwords) -> tuple[Imported, ...]:
    """Give what will be added, after the slow work that could be done last."""
    places = asyncio.Semaphore(_HASHED_TOGETHER)

    async def hashed(credential: Credential, clear: Secret) -> Credential:
        slowly = passwords.hash if credential.kind is CredentialKind.PASSWORD else passwords.hash_exactly
        async with places:
            return msgspec.structs.replace(credential, verifier=await slowly(clear))

    ready = await asyncio.gather(*(hashed(*each) for each in plan.to_hash))
    slow: dict[str, Imported] = {each.id: each for each in ready}
    return tuple(slow.get(key, record) for key, (_, record) in plan.records.items())


def _event(
    actor: Actor,
    organisation_id: OrganisationId,
    report: ImportReport,
    form: FileForm,
    plan: Plan,
    *,
    refused: bool,
    now: datetime,
    dice: Dice,
) -> AuditEvent:
    kinds = Counter(type(record) for _, record in plan.records.values())
    counts = (
        {}
        if refused
        else {
            "clients": kinds[Client],
            "users": kinds[User],
            "entities": kinds[Entity],
            "credentials": kinds[Credential],
        }
    )
    rows = {f"rows_{outcome}": report.count(outcome) for outcome in Outcome}
    details = {name: str(count) for name, count in (rows | counts).items()}
    event = told(
        "import.refused" if refused else "import.done",
        actor,
        organisation_id,
        organisation_id,
        now=now,
        dice=dice,
        details={"format": form, "file": report.digest} | details,
    )
    return msgspec.structs.replace(event, outcome=Code.INVALID_REQUEST) if refused else event
