"""Exports of the audit trail, and whether they can be checked without the store."""

import json
import secrets
from datetime import timedelta

import pytest
from msgspec import structs

from contract.store_kit import PlainSealer, open_file
from keyturn.app import check_chain, public_check
from keyturn.cli.audit_files import Spelling, records_of, writer
from keyturn.core.actors import client as client_actor
from keyturn.core.checkpoints import ChainEnd, Statement, sign_statement
from keyturn.core.errors import OperatorError
from keyturn.core.vocabulary import ClientId, OrganisationId
from keyturn.directory import audit_export, audit_file
from keyturn.directory.audit_export import ExportWish, export_audit
from keyturn.directory.audit_file import FileCheck
from keyturn.directory.organisations import create_organisation, rename_organisation
from keyturn.keys.audit_key import StoredAuditKeys
from keyturn.storage.audit import hash_of
from keyturn.upkeep.batches import Pace
from keyturn.upkeep.checkpoints import Checkpoints, Retention
from unit.directory.conftest import NOW, OPERATOR, Deployment


class Trail:
    """A deployment whose trail is signed and exported."""

    def __init__(self, opened=None, sealer=None) -> None:
        deployment = Deployment()
        opened = opened or deployment.memory
        self.store, self.upkeep = opened.deployment, opened.upkeep
        self.keys = StoredAuditKeys(self.store, sealer or deployment.sealer, secrets.token_bytes)
        self.job = Checkpoints(self.upkeep, self.keys)

    async def begin(self):
        """Write the first row."""
        await create_organisation(OPERATOR, self.store, "acme", "Acme", now=NOW, dice=secrets.token_bytes)

    async def write(self, *names):
        """Write a row for each name."""
        for name in names:
            await rename_organisation(OPERATOR, self.store, "acme", name, now=NOW, dice=secrets.token_bytes)

    async def records(self, after=0, actor=OPERATOR, **wish):
        """Export the trail."""
        key = await self.keys.find()
        made = export_audit(
            actor,
            self.store,
            self.upkeep,
            ExportWish(after=after, **wish),
            key=key and key.public_jwk,
            now=NOW,
            dice=secrets.token_bytes,
        )
        return [record async for record in made]


@pytest.fixture
async def trail():
    """A trail with a checkpoint in its middle and one at its end but for two rows."""
    made = Trail()
    await written(made)
    return made


async def written(made):
    """Write and sign what every test begins with."""
    await made.begin()
    await made.write("one", "two")
    await made.job.work(NOW)
    await made.write("three", "four")
    await made.job.work(NOW)
    await made.write("five", "six")


def verdict_of(*parts, key=None, noted=None):
    """Check exports, one after the other."""
    check = FileCheck(check_chain, public_check, key, noted or {})
    for number, part in enumerate(parts):
        check.read(f"part {number}", enumerate(part, start=1))
    return check.verdict()


async def test_an_export_holds(trail):
    """AD-05: an export has every row and checkpoint, and proves by itself that none was altered."""
    records = await trail.records()
    kinds = [record["type"] for record in records]
    assert kinds == ["export", *["checkpoint"] * 2, *["row"] * 8, "end"]
    verdict = verdict_of(records)
    assert verdict.trail.intact
    assert (verdict.whole, verdict.trail.newest.seq, verdict.key_id) == (True, 2, records[0]["key"]["kid"])
    [chain] = verdict.trail.chains
    assert (chain.rows, chain.last, chain.signed) == (8, 8, 6)


def without(records, which):
    """Take records out, and let the end not know of it."""
    left = [record for record in records if not which(record)]
    counts = {kind: sum(each["type"] == kind for each in left) for kind in ("row", "checkpoint")}
    return [*left[:-1], {**left[-1], "rows": counts["row"], "checkpoints": counts["checkpoint"]}]


def changed(records, which, **members):
    """Alter a record."""
    return [{**each, **members} if which(each) else each for each in records]


def row(seq):
    """Choose a row by its place in the chain."""
    return lambda each: each["type"] == "row" and each["seq"] == seq


def checkpoint(seq):
    """Choose a checkpoint."""
    return lambda each: each["type"] == "checkpoint" and each["seq"] == seq


@pytest.mark.parametrize(
    ("forge", "says"),
    [
        (lambda all_: changed(all_, row(3), actor="operator:nobody"), "at row 3"),
        (lambda all_: changed(all_, row(3), at="2026-05-04T12:00:01.000000Z"), "at row 3"),
        (lambda all_: changed(all_, row(3), details={"slug": "other"}), "at row 3"),
        (lambda all_: without(all_, row(3)), "at row 3"),
        (lambda all_: without(all_, lambda each: each["type"] == "row" and each["seq"] > 5), "at row 6"),
        (lambda all_: without(all_, lambda each: each["type"] == "row"), "at row 1"),
        (lambda all_: without(all_, checkpoint(1)), "checkpoint 1 removed"),
        (lambda all_: changed(all_, checkpoint(2), signature="AAAA"), "checkpoint 2 altered"),
        (lambda all_: changed(all_, checkpoint(2), at="2026-05-04T13:00:00.000000Z"), "checkpoint 2 altered"),
    ],
)
async def test_a_forged_export_is_found(trail, forge, says):
    """AD-05: a row or checkpoint of an export that was altered, removed or cut off is found and named."""
    problems = verdict_of(forge(await trail.records())).trail.problems
    assert says in problems[0]


async def test_a_chain_written_anew_is_found(trail):
    """AD-05: an export whose rows were altered and hashed again is found by its checkpoints."""
    records = changed(await trail.records(), row(3), actor="operator:nobody")
    before = None
    for place, record in enumerate(records):
        if record["type"] == "row":
            linked = record if before is None else {**record, "prev_hash": before}
            before = hash_of(audit_file._row(linked)).hex()
            records[place] = {**linked, "row_hash": before}
    [problem] = verdict_of(records).trail.problems
    assert "at row 3 or before it: written anew" in problem or "at row 4" in problem
    unsigned = without(records, lambda each: each["type"] == "checkpoint")
    assert verdict_of(unsigned).trail.problems == ["checkpoint 1 removed: there is a key that signed it"]
    keyless = changed(unsigned, lambda each: each["type"] == "export", key=None)
    assert verdict_of(keyless).trail.intact
    assert not verdict_of(keyless, key=records[0]["key"]).trail.intact


async def test_an_export_made_anew_needs_another_key(trail):
    """AD-05: a trail that was made anew with its own key does not pass for the one whose key was noted."""
    forged = Trail()
    await forged.begin()
    await forged.job.work(NOW)
    records, noted = await forged.records(), (await trail.keys.find()).public_jwk
    assert verdict_of(records).trail.intact
    assert "checkpoint 1 altered" in verdict_of(records, key=noted).trail.problems[0]
    newest = (await trail.upkeep.newest_checkpoint()).digest
    assert verdict_of(await trail.records(), noted={2: newest}).trail.intact
    assert verdict_of(records, noted={2: newest}).trail.problems == ["checkpoint 2 removed"]


async def test_parts_fit_together(trail):
    """Exports that go on where the one before ended are checked as one, and a later one also alone."""
    first = await trail.records()
    await trail.write("seven")
    await trail.job.work(NOW)
    second = await trail.records(after=first[-1]["position"])
    verdict = verdict_of(first, second)
    assert verdict.trail.intact
    assert (verdict.whole, verdict.trail.newest.seq) == (True, 3)
    [chain] = verdict.trail.chains
    assert chain.last == chain.signed
    alone = verdict_of(second)
    assert (alone.trail.intact, alone.whole, alone.after) == (True, False, first[-1]["position"])
    assert "at row" in verdict_of(changed(second, row(10), kind="x")).trail.problems[0]
    with pytest.raises(OperatorError, match="begins after position"):
        verdict_of(second, second)
    assert (await trail.records(since=NOW + timedelta(days=1)))[-1]["rows"] == 0


async def test_a_later_part_proves_an_earlier_one(trail):
    """AD-05: rows that nobody had signed when a part was made are proved by the next part's checkpoint."""
    first = await trail.records()
    rows = [each for each in first if each["type"] == "row"]
    newest = await trail.upkeep.newest_checkpoint()
    end, key = ChainEnd(rows[-1]["chain"], rows[-1]["seq"], bytes(32)), await trail.keys.find()
    statement = Statement(
        seq=newest.seq + 1,
        at=NOW,
        previous=newest.digest,
        covered=first[-1]["position"],
        chains=(structs.replace(end, row_hash=bytes.fromhex(rows[-1]["row_hash"])),),
    )
    for told, holds in ((statement, True), (structs.replace(statement, chains=(end,)), False)):
        signed = audit_export._checkpoint(sign_statement(told, key.key_id, key.sign))
        place = first[-1]["position"]
        second = [
            {**first[0], "after": place, "to": place},
            signed,
            {"type": "end", "position": place, "rows": 0, "checkpoints": 1},
        ]
        assert verdict_of(first, second).trail.intact is holds


async def test_what_retention_cut_is_not_missed(tmp_path):
    """AD-05: an export of a trail whose old rows retention removed begins where the checkpoint says."""
    opened = await open_file(tmp_path / "keyturn.db")
    trail = Trail(opened, PlainSealer())
    await written(trail)
    clock = type("Settled", (), {"clock_mark": staticmethod(_no_mark)})()
    job = Retention(
        trail.upkeep,
        clock,
        trail.store,
        trail.keys,
        check_chain,
        timedelta(days=1),
        secrets.token_bytes,
        pace=Pace(0),
    )
    assert "removed" in await job.work(NOW + timedelta(days=2))
    records = await trail.records()
    await opened.close()
    first = next(each for each in records if each["type"] == "row")
    assert first["seq"] > 1
    assert verdict_of(records).trail.intact
    assert "at row" in verdict_of(without(records, row(first["seq"]))).trail.problems[0]


async def _no_mark():
    return None


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda all_: all_[:-1], "is cut"),
        (lambda all_: all_[1:], "line 1: not where"),
        (lambda all_: [*all_, all_[-1]], "not where"),
        (lambda all_: [{**all_[0], "format": 2}, *all_[1:]], "format 2"),
        (lambda all_: [*all_[:-2], all_[-1]], "records are missing"),
        (lambda all_: [*all_[:3], all_[4], all_[3], *all_[5:]], "order of writing"),
        (lambda all_: changed(all_, row(2), seq="two"), "a number is none"),
        (
            lambda all_: [{name: each[name] for name in each if name != "row_hash"} for each in all_],
            "row_hash",
        ),
        (lambda all_: [all_[0], {"type": "nonsense"}, *all_[1:]], "no record of ours"),
        (lambda all_: [{**all_[0], "key": None}, *all_[1:]], "no key"),
        (lambda all_: [{**all_[0], "key": {"kty": "RSA"}}, *all_[1:]], "Ed25519"),
    ],
)
async def test_what_is_no_export(trail, spoil, says):
    """A file that is no whole export is refused, with the line where it is none."""
    with pytest.raises(OperatorError, match=says):
        verdict_of(spoil(await trail.records()))


@pytest.mark.parametrize("spelling", list(Spelling))
async def test_spellings(trail, tmp_path, spelling):
    """JSON lines and CSV hold the same records, in a file of the owner's own that is never written over."""
    records, path = await trail.records(personal=True), tmp_path / "trail"
    with writer(path, spelling) as write:
        for record in records:
            write(record)
    assert path.stat().st_mode & 0o777 == 0o600
    check = FileCheck(check_chain, public_check, None, {})
    check.read("file", records_of(path))
    assert check.verdict().trail.intact
    kept = [
        {name: value for name, value in record.items() if value is not None} for _, record in records_of(path)
    ]
    assert kept == [{name: value for name, value in each.items() if value is not None} for each in records]
    with pytest.raises(OperatorError, match="exists"), writer(path, spelling):
        pass
    with pytest.raises(OperatorError, match="away"), writer(tmp_path / "half", spelling):
        raise OperatorError("the store went away")
    assert not (tmp_path / "half").exists()
    assert path.exists()


async def test_personal_fields_stay_sealed(trail):
    """AD-05: an export has personal fields only as they are sealed, unless they are asked for."""
    assert not any("personal" in record for record in await trail.records())
    assert all("personal" in each for each in await trail.records(personal=True) if each["type"] == "row")
    told = [each for each in await trail.records() if each.get("kind") == "audit.exported"]
    assert [each["details"]["personal"] for each in told] == ["no", "yes"]
    assert json.dumps(told)


async def test_confined(trail):
    """TN-02: an actor of one organisation exports nothing."""
    actor = client_actor(ClientId("c"), OrganisationId("o"))
    with pytest.raises(OperatorError, match="only an operator"):
        await trail.records(actor=actor)
    with pytest.raises(OperatorError, match="ends at position"):
        await trail.records(after=1_000)
