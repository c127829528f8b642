"""The tables of status lists; ``schema`` has all others, and what a column's types mean."""

from sqlalchemy import BigInteger, Column, Index, Table, Text

from keyturn.core.vocabulary import OwnerKind
from keyturn.storage.schema import METADATA, Instant, Json, Word

STATUS_BLOCK = Table(
    "status_block",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("list_id", Text, nullable=False),
    Column("organisation_id", Text, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("owner_kind", Word(OwnerKind), nullable=False),
    Column("subject", Text, nullable=False),
    Column("credential_id", Text, nullable=False),
    Column("epochs", Json(tuple[int, ...]), nullable=False),
    Column("client_id", Text),
    Column("family_id", Text),
    Column("expires_at", Instant, nullable=False, index=True),
    Index("ix_status_block_organisation_id_list_id", "organisation_id", "list_id"),
)

STATUS_MARK = Table(
    "status_mark",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("list_id", Text, nullable=False, index=True),
    Column("organisation_id", Text, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("expires_at", Instant, nullable=False, index=True),
)
