"""The tables of notices; ``schema`` says what a column's types mean."""

from sqlalchemy import BigInteger, Column, LargeBinary, Table, Text

from keyturn.core.notices import Channel
from keyturn.storage.schema import METADATA, WORDS, Instant, Json, Word

NOTICE = Table(
    "notice",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    # No foreign keys: notices of a ring that all share are of no organisation.
    Column("organisation_id", Text, index=True),
    Column("at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False, index=True),
    Column("details", Json(dict[str, str]), nullable=False),
    Column("spread_at", Instant, index=True),
    Column("version", BigInteger, nullable=False),
)

SUBSCRIPTION = Table(
    "notice_subscription",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("organisation_id", Text, index=True),
    Column("channel", Word(Channel), nullable=False),
    Column("target", Text, nullable=False),
    Column("kinds", Json(WORDS), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("secret", LargeBinary),
    Column("previous_until", Instant),
    Column("ended_at", Instant),
    Column("version", BigInteger, nullable=False),
)

DELIVERY = Table(
    "notice_delivery",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("notice_id", Text, nullable=False),
    Column("subscription_id", Text, nullable=False),
    Column("organisation_id", Text, index=True),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False, index=True),
    Column("next_at", Instant, index=True),
    Column("tries", BigInteger, nullable=False),
    Column("delivered_at", Instant),
    Column("dead_at", Instant, index=True),
    Column("problem", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
)
