"""Checks exports of the audit trail without the store: chains, checkpoints, and that the parts fit together.

What a whole trail proves is in ``audit``. A later part alone proves what is in it: where each of its chains
begins is taken as it is, unless a checkpoint fixes it or the part before is given too.
"""

import base64
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from keyturn.core.checkpoints import ChainEnd, Checkpoint, Ledger, SignatureCheck
from keyturn.core.errors import OperatorError
from keyturn.core.records import AuditRow
from keyturn.core.vocabulary import OrganisationId
from keyturn.directory.audit import ChainCheck, ChainVerdict, TrailVerdict
from keyturn.directory.audit_export import FORMAT, Record

Number = int
Lines = Iterable[tuple[Number, Record]]
"""The records of a file, each with the number of its line."""
_NO_CHECKPOINT = "there are checkpoints, but no key to check them by"


class FileVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What came of checking exports.

    Args:
        after, to: Between which positions their rows lie.
        whole: They begin where the trail began, or where retention cut it.
        key_id: By which key checkpoints were checked; None where there are none.
    """

    trail: TrailVerdict
    after: int
    to: int
    whole: bool
    key_id: str | None


class FileCheck:
    """Follows the records of one export after the other.

    Args:
        check: Follows a chain's links.
        signature_by: Makes a check of signatures from a public key.
        key: The key that was noted elsewhere; the one that the first file names if not given.
        noted: Hashes of checkpoints, by ``seq``, that were noted elsewhere.
    """

    def __init__(
        self,
        check: ChainCheck,
        signature_by: Callable[[Mapping[str, str]], SignatureCheck],
        key: Mapping[str, str] | None,
        noted: Mapping[int, bytes],
    ) -> None:
        """Have read nothing yet."""
        self._check = check
        self._signature_by = signature_by
        self._key = key
        self._noted = noted
        self._ledger: Ledger | None = None
        self._places: dict[str, ChainEnd] = {}
        self._firsts: dict[str, int] = {}
        self._broken: dict[str, ChainVerdict] = {}
        self._problem: tuple[int, str] | None = None
        self._digests: dict[int, bytes] = {}
        self._after = self._position = 0

    def read(self, name: str, lines: Lines) -> None:
        """Take in an export.

        Raises:
            OperatorError: It is none, is cut, or does not go on where the one before ended.
        """
        counts = Counter[str]()
        for number, record in lines:
            kind = str(record.get("type"))
            if counts["end"] or (kind == "export") is bool(counts["export"]):
                raise OperatorError(f"{name}, line {number}: not where an export has it")
            counts[kind] += 1
            try:
                self._take(kind, record, counts)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise OperatorError(f"{name}, line {number}: {_why(error)}") from None
        if not counts["end"]:
            raise OperatorError(f"{name} is cut: it has no record `end`")

    def _take(self, kind: str, record: Record, counts: Counter[str]) -> None:
        match kind:
            case "export":
                self._begin(record)
            case "checkpoint":
                self._follow(_checkpoint(record))
            case "row":
                self._link(record["position"], _row(record))
            case "end":
                self._end(record, counts["row"], counts["checkpoint"])
            case _:
                raise ValueError("no record of ours")

    def verdict(self) -> FileVerdict:
        """Say what came of all that was read."""
        ledger = self._ledger or Ledger()
        problem = self._problem
        if problem is None:
            seen = ledger.newest.seq if ledger.newest else 0
            gone = [seq for seq in self._noted if seq > seen]
            problem = (min(gone), "removed") if gone else None
            if problem is None and not seen and self._key is not None:
                problem = 1, "removed: there is a key that signed it"
        chains = dict.fromkeys([*self._places, *self._broken, *([] if self._after else ledger.ends)])
        return FileVerdict(
            trail=TrailVerdict(
                chains=tuple(self._chain(chain, ledger) for chain in chains),
                newest=ledger.newest,
                broken_checkpoint=problem[0] if problem else None,
                problem=problem[1] if problem else None,
            ),
            after=self._after,
            to=self._position,
            whole=not self._after,
            key_id=ledger.newest.key_id if ledger.newest else None,
        )

    def _begin(self, record: Record) -> None:
        if record["format"] != FORMAT:
            raise ValueError(f"format {record['format']!r} is not known, only {FORMAT}")
        after = _whole(record["after"])
        if self._ledger is None:
            self._ledger = Ledger(partial=after > 0)
            self._after = self._position = after
            self._key = self._key or record["key"]
        elif after != self._position:
            raise ValueError(f"it begins after position {after}, the one before ended at {self._position}")

    def _follow(self, checkpoint: Checkpoint) -> None:
        if self._problem is not None or self._ledger is None:
            return  # those after a broken one prove nothing
        if self._key is None:
            raise ValueError(_NO_CHECKPOINT)
        if self._digests.setdefault(checkpoint.seq, checkpoint.digest) == checkpoint.digest:
            newest = self._ledger.newest
            if newest is not None and checkpoint.seq <= newest.seq:
                return  # parts overlap by a checkpoint or two
        problem = self._ledger.follow(checkpoint, self._signature_by(self._key))
        if problem is not None:
            self._problem = self._ledger.broken_seq(checkpoint, problem), problem
        elif self._noted.get(checkpoint.seq, checkpoint.digest) != checkpoint.digest:
            self._problem = checkpoint.seq, "altered: it is not the one that was noted"
        else:
            self._look_back(checkpoint, self._ledger)

    def _look_back(self, checkpoint: Checkpoint, ledger: Ledger) -> None:
        """Compare what a checkpoint fixes with the rows of earlier parts, which nobody had signed yet."""
        for end in checkpoint.read().chains:
            place = self._places.get(end.chain)
            if place is not None and place.seq == end.seq and place.row_hash != end.row_hash:
                self._break(place, end.seq, ledger, anew=True)

    def _link(self, position: int, row: AuditRow) -> None:
        if _whole(position) <= self._position or self._ledger is None:
            raise ValueError("a row that is not in the order of writing")
        self._position = position
        if row.chain in self._broken:
            return
        place = self._places.get(row.chain)
        if place is None:
            place = self._start(row, self._ledger)
            self._firsts[row.chain] = place.seq if place else 0
        broken, unlike = self._check([row], place), self._ledger.first_unlike([row])
        if broken is None and unlike is None:
            self._places[row.chain] = ChainEnd(row.chain, row.seq, row.row_hash)
            return
        held = place or ChainEnd(row.chain, 0, row.prev_hash)
        found = held.seq + 1 if broken is not None else row.seq
        self._break(held, found, self._ledger, anew=broken is None)

    def _break(self, held: ChainEnd, found: int, ledger: Ledger, *, anew: bool) -> None:
        """Note that a chain holds up to a place and no further."""
        last = min(held.seq, found - 1)
        self._broken[held.chain] = ChainVerdict(
            chain=held.chain,
            rows=last - self._firsts[held.chain],
            last=last,
            signed=ledger.signed_seq(held.chain),
            broken_at=found,
            written_anew=anew,
        )

    def _start(self, row: AuditRow, ledger: Ledger) -> ChainEnd | None:
        """Tell where a chain begins in what was read: at its start, where it was cut, or in the middle."""
        cut = ledger.cuts.get(row.chain)
        if not self._after or (cut is not None and cut.seq == row.seq - 1):
            return cut
        signed = ledger.ends.get(row.chain, {}).get(row.seq - 1, row.prev_hash)
        return ChainEnd(row.chain, row.seq - 1, signed) if row.seq > 1 else None

    def _end(self, record: Record, rows: int, checkpoints: int) -> None:
        if (record["rows"], record["checkpoints"]) != (rows, checkpoints):
            raise ValueError("records are missing: it had more rows or checkpoints")
        if _whole(record["position"]) < self._position:
            raise ValueError("it ends before its last row")
        self._position = record["position"]

    def _chain(self, chain: str, ledger: Ledger) -> ChainVerdict:
        if chain in self._broken:
            return self._broken[chain]
        place = self._places.get(chain) or ledger.cuts.get(chain)
        last, signed = place.seq if place else 0, ledger.signed_seq(chain)
        return ChainVerdict(
            chain=chain,
            rows=last - self._firsts.get(chain, last),
            last=last,
            signed=signed,
            broken_at=last + 1 if last < signed else None,
        )


def _row(record: Record) -> AuditRow:
    sealed, details = record["sealed_personal"], record["details"]
    if not isinstance(details, dict):
        raise TypeError("details are no object")
    return AuditRow(
        chain=record["chain"],
        seq=_whole(record["seq"]),
        at=_instant(record["at"]),
        kind=record["kind"],
        actor=record["actor"],
        request_id=record["request_id"],
        outcome=record["outcome"],
        organisation_id=None
        if record["organisation_id"] is None
        else OrganisationId(record["organisation_id"]),
        subject=record["subject"],
        reason=record["reason"],
        details=details,
        sealed_personal=None if sealed is None else base64.b64decode(sealed, validate=True),
        prev_hash=bytes.fromhex(record["prev_hash"]),
        row_hash=bytes.fromhex(record["row_hash"]),
    )


def _checkpoint(record: Record) -> Checkpoint:
    return Checkpoint(
        seq=_whole(record["seq"]),
        at=_instant(record["at"]),
        statement=base64.b64decode(record["statement"], validate=True),
        signature=base64.b64decode(record["signature"], validate=True),
        key_id=record["key_id"],
    )


def _whole(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError("a number is none")
    return value


def _instant(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)


def _why(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)
