"""The tables of people and of what they are in; ``schema`` has all others, and what a column's types mean.

A ``place`` holds a name in the form in which it is unique, and is empty once the name is free again
(``places``): a unique index counts no two empty values as one.
"""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Table, Text

from keyturn.storage.schema import METADATA, WORDS, Instant, Json

USER = Table(
    "user_account",  # "user" would have to be quoted in every dialect of SQL
    METADATA,
    Column("id", Text, primary_key=True),
    Column("organisation_id", Text, ForeignKey("organisation.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("place", Text),
    Column("display_name", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("service", Boolean, nullable=False),
    Column("email", Text),
    Column("email_verified_at", Instant),
    Column("given_name", Text, nullable=False),
    Column("family_name", Text, nullable=False),
    Column("mfa_required", Boolean, nullable=False),
    Column("last_organisation_id", Text),
    Column("disabled", Boolean, nullable=False),
    Column("ended_at", Instant),
    Column("epoch", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Index("ux_user_account_place", "organisation_id", "place", unique=True),
    Index("ux_user_account_email", "email", unique=True),
)

MEMBERSHIP = Table(
    "membership",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("user_account.id"), nullable=False),
    Column("organisation_id", Text, ForeignKey("organisation.id"), nullable=False, index=True),
    Column("created_at", Instant, nullable=False),
    Column("roles", Json(WORDS), nullable=False),
    Column("teams", Json(WORDS), nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("ended_at", Instant),
    Column("epoch", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Index("ux_membership_pair", "user_id", "organisation_id", unique=True),
)

TEAM = Table(
    "team",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("organisation_id", Text, ForeignKey("organisation.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("place", Text),
    Column("created_at", Instant, nullable=False),
    # No foreign key: deletion removes teams in any order.
    Column("parent_id", Text),
    Column("ended_at", Instant),
    Column("version", BigInteger, nullable=False),
    Index("ux_team_place", "organisation_id", "place", unique=True),
)

PROJECT = Table(
    "project",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("organisation_id", Text, ForeignKey("organisation.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("place", Text),
    Column("created_at", Instant, nullable=False),
    Column("teams", Json(WORDS), nullable=False),
    Column("open", Boolean, nullable=False),
    Column("ended_at", Instant),
    Column("version", BigInteger, nullable=False),
    Index("ux_project_place", "organisation_id", "place", unique=True),
)

ENTITY = Table(
    "entity",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("subject", Text, nullable=False),
    Column("organisation_id", Text, ForeignKey("organisation.id"), nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("users", Json(WORDS), nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("ended_at", Instant),
    Column("epoch", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Index("ux_entity_subject", "subject", unique=True),
)
