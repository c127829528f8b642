"""The tables of upkeep; ``schema`` has all others, and what a column's types mean."""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, Table, Text

from keyturn.core.vocabulary import Algorithm
from keyturn.storage.schema import (
    METADATA,
    REFRESH_FAMILY,
    REVOCATION,
    SIGNING_KEY,
    SPENT,
    WORDS,
    Instant,
    Json,
    Word,
)

LEASE = Table(
    "lease",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("until", Instant, nullable=False),
    Column("ran_at", Instant),
    Column("failures", BigInteger, nullable=False, server_default="0"),
    Column("outcome", Text, nullable=False, server_default=""),
)

NODE = Table(
    "node",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("seen_at", Instant, nullable=False, index=True),
    Column("held", Json(WORDS), nullable=False),
    Column("sealing_under", Text, nullable=False),
)

DUE_RING = Table(
    "due_ring",
    METADATA,
    Column("issuer_id", Text, primary_key=True),
    Column("algorithm", Word(Algorithm), primary_key=True),
    Column("noted_at", Instant, nullable=False),
)

CLOCK_MARK = Table(
    "clock_mark",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("newest_at", Instant, nullable=False),
    Column("accepted", BigInteger, nullable=False),
    Column("accepted_after", BigInteger, nullable=False),
    Column("stepped_at", Instant),
)

AUDIT_CHECKPOINT = Table(
    "audit_checkpoint",
    METADATA,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at", Instant, nullable=False),
    Column("statement", LargeBinary, nullable=False),
    Column("signature", LargeBinary, nullable=False),
    Column("key_id", Text, nullable=False),
)

# Upkeep asks for what has expired; without these each short batch would read the whole table.
for _column in (
    REVOCATION.c.expires_at,
    SPENT.c.expires_at,
    REFRESH_FAMILY.c.ends_at,
    REFRESH_FAMILY.c.ended_at,
    SIGNING_KEY.c.active_at,
    SIGNING_KEY.c.retires_at,
):
    Index(f"ix_{_column.table.name}_{_column.name}", _column)
