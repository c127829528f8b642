"""Signed statements that tie the audit chains of all writers together. Pure: encoding, hashing, following.

A checkpoint says where each chain that grew since the previous one ends now, and up to where rows were
removed on purpose. It names the hash of the previous checkpoint, so neither a row nor a checkpoint before the
newest one can be altered or removed unseen. What is signed is the exact bytes of the statement, which are
kept. Source: design.md section 4 (audit).
"""

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec

from keyturn.core.records import AuditRow

FIRST_PREVIOUS = bytes(32)
"""What the first checkpoint names as the hash of the one before it."""

SignatureCheck = Callable[[str, bytes, bytes], bool]
"""Tells whether (key id, message, signature) is a signature by the deployment's audit key."""


class ChainEnd(msgspec.Struct, frozen=True, array_like=True):
    """One place in a chain: everything up to ``seq`` is fixed by ``row_hash``."""

    chain: str
    seq: int
    row_hash: bytes


class Statement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a checkpoint says.

    Args:
        seq: From 1 without gaps.
        previous: The hash of the checkpoint before it; 32 zero bytes for the first.
        covered: The store's number of the newest row that is covered; later rows have greater ones.
        chains: The ends of the chains that grew since the previous checkpoint; of all where ``full``.
        cuts: Up to where rows were removed; where ``full`` of all chains, otherwise of those cut now.
        full: It needs no earlier checkpoint, so those may have been removed.
    """

    seq: int
    at: datetime
    previous: bytes
    covered: int
    chains: tuple[ChainEnd, ...]
    cuts: tuple[ChainEnd, ...] = ()
    full: bool = False


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A statement as it is kept: its exact bytes, and their Ed25519 signature."""

    seq: int
    at: datetime
    statement: bytes
    signature: bytes
    key_id: str

    @property
    def digest(self) -> bytes:
        """What the next checkpoint names as ``previous``."""
        return hashlib.sha256(self.statement).digest()

    def read(self) -> Statement:
        """Read the statement.

        Raises:
            msgspec.DecodeError: The bytes are none.
        """
        return _decode(self.statement)


_encode = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.Decoder(Statement).decode


def message_of(statement: bytes) -> bytes:
    """Give what is signed: the statement after a word of its own, so that it passes for nothing else."""
    return b"keyturn audit checkpoint\n" + statement


def sign_statement(statement: Statement, key_id: str, sign: Callable[[bytes], bytes]) -> Checkpoint:
    """Make the checkpoint of a statement."""
    encoded = _encode(statement)
    return Checkpoint(
        seq=statement.seq,
        at=statement.at,
        statement=encoded,
        signature=sign(message_of(encoded)),
        key_id=key_id,
    )


class Ledger:
    """What all checkpoints together say, followed one by one from the oldest that is kept."""

    def __init__(self, *, partial: bool = False) -> None:
        """Know of no checkpoint.

        Args:
            partial: It is about a later part of the trail, so the first one is taken as it is.
        """
        self._partial = partial
        self.newest: Checkpoint | None = None
        self.covered = 0
        self.ends: dict[str, dict[int, bytes]] = {}
        self.cuts: dict[str, ChainEnd] = {}
        self.fulls: list[tuple[datetime, int]] = []

    def follow(self, checkpoint: Checkpoint, check: SignatureCheck) -> str | None:
        """Take in the next checkpoint.

        Returns:
            What is wrong with it, and then nothing of it was taken in; None if it holds.
        """
        if not check(checkpoint.key_id, message_of(checkpoint.statement), checkpoint.signature):
            return "altered: the signature is not by this deployment's audit key"
        statement = checkpoint.read()
        if (statement.seq, statement.at) != (checkpoint.seq, checkpoint.at):
            return "altered: its row and its statement differ"
        begins = self.newest is None and (statement.full or self._partial)
        expected = self.newest.seq + 1 if self.newest else (statement.seq if begins else 1)
        if statement.seq != expected:
            return "removed"
        previous = self.newest.digest if self.newest else FIRST_PREVIOUS
        if statement.previous != previous and not begins:
            return "altered: the next one names another hash"
        for end in statement.chains:
            self.ends.setdefault(end.chain, {})[end.seq] = end.row_hash
        self.cuts.update((cut.chain, cut) for cut in statement.cuts)
        if statement.full:
            self.fulls.append((statement.at, statement.seq))
        self.newest, self.covered = checkpoint, statement.covered
        return None

    def broken_seq(self, checkpoint: Checkpoint, problem: str) -> int:
        """Name the first checkpoint that is missing or wrong, given the one that did not follow."""
        if problem == "removed":
            return self.newest.seq + 1 if self.newest else 1
        return checkpoint.seq

    def signed_seq(self, chain: str) -> int:
        """Tell how many rows of a chain must have been there: up to its newest signed end."""
        return max(self.ends.get(chain, {0: b""}))

    def first_unlike(self, rows: Sequence[AuditRow]) -> int | None:
        """Find the first row whose place in its chain was signed with another hash.

        A chain that was written anew from some row on holds in itself, and shows only here.
        """
        for row in rows:
            if self.ends.get(row.chain, {}).get(row.seq, row.row_hash) != row.row_hash:
                return row.seq
        return None

    def needless_before(self, horizon: datetime) -> int:
        """Tell before which ``seq`` checkpoints may go, when rows older than ``horizon`` have gone.

        The oldest that is kept must be full, and old: newer ones are still needed for rows that are kept.
        """
        return max((seq for at, seq in self.fulls if at < horizon), default=0)
