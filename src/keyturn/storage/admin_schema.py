"""The tables of the admin API; ``schema`` says what a column's types mean."""

from sqlalchemy import BigInteger, Boolean, Column, LargeBinary, Table, Text

from keyturn.storage.schema import METADATA, WORDS, Day, Instant, Json

ADMIN_TOKEN = Table(
    "admin_token",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    # No foreign key: a deployment's tokens are of no organisation.
    Column("organisation_id", Text, index=True),
    Column("scopes", Json(WORDS), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("lookup_hash", LargeBinary, nullable=False, index=True),
    Column("pepper_id", Text, nullable=False),
    Column("setup", Boolean, nullable=False),
    Column("expires_at", Instant),
    Column("last_used_on", Day),
    Column("ended_at", Instant),
    Column("ended_why", Text),
    Column("version", BigInteger, nullable=False),
)

KEPT_ANSWER = Table(
    "kept_answer",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("organisation_id", Text, index=True),
    Column("request_hash", LargeBinary, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False, index=True),
    Column("answer", LargeBinary),
    Column("version", BigInteger, nullable=False),
)
