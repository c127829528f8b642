"""Every table and column, as SQLAlchemy Core knows them; docs/storage.md explains each in a line.

A column holds what the record's field of the same name holds, so the types here do the translation: instants
are whole microseconds since 1970 UTC, lists and objects are JSON text, enumerations are their words.
Nothing here is peculiar to SQLite but the integer key of ``audit``.
"""

from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    false,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.types import TypeDecorator

from keyturn.core.life import State
from keyturn.core.vocabulary import Algorithm, CredentialKind, OwnerKind

ANY_DIALECT = sqlite.dialect()
"""For who goes past SQLAlchemy: what a column keeps of a value is the same in every database."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_encode = msgspec.json.Encoder(order="deterministic").encode


def micros(instant: datetime) -> int:
    """Give whole microseconds since 1970 UTC for an aware instant."""
    return (instant - _EPOCH) // _MICROSECOND


def instant(micros_utc: int) -> datetime:
    """Give the aware UTC instant that ``micros`` made the number of."""
    return _EPOCH + timedelta(microseconds=micros_utc)


def json_text(value: object) -> str:
    """Write a value as JSON with sorted keys, so that equal values are equal text."""
    return _encode(value).decode()


class Instant(TypeDecorator[datetime]):
    """An aware UTC instant as whole microseconds."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002  # SQLAlchemy's signature
        """Turn an instant into a number."""
        return None if value is None else micros(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002  # the same
        """Turn a number into an instant."""
        return None if value is None else instant(value)


class Day(TypeDecorator[date]):
    """A calendar day as its ISO 8601 text."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: date | None, dialect: Dialect) -> str | None:  # noqa: ARG002  # the same
        """Turn a day into text."""
        return None if value is None else value.isoformat()

    def process_result_value(self, value: str | None, dialect: Dialect) -> date | None:  # noqa: ARG002  # the same
        """Turn text into a day."""
        return None if value is None else date.fromisoformat(value)


class Json(TypeDecorator[Any]):
    """A list or an object as JSON text, read back as the type the record declares."""

    impl = Text
    cache_ok = True

    def __init__(self, kind: Any) -> None:
        super().__init__()
        self.kind = kind

    def process_bind_param(self, value: object | None, dialect: Dialect) -> str | None:  # noqa: ARG002  # the same
        """Turn a value into text."""
        return None if value is None else json_text(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:  # noqa: ARG002  # the same
        """Turn text into a value of the declared type."""
        return None if value is None else msgspec.json.decode(value, type=self.kind)


class Word(TypeDecorator[StrEnum]):
    """A member of an enumeration as its word."""

    impl = Text
    cache_ok = True

    def __init__(self, kind: type[StrEnum]) -> None:
        super().__init__()
        self.kind = kind

    def process_bind_param(self, value: StrEnum | None, dialect: Dialect) -> str | None:  # noqa: ARG002  # the same
        """Turn a member into text."""
        return None if value is None else value.value

    def process_result_value(self, value: str | None, dialect: Dialect) -> StrEnum | None:  # noqa: ARG002  # the same
        """Turn text into a member."""
        return None if value is None else self.kind(value)


WORDS = tuple[str, ...]

METADATA = MetaData()

ORGANISATION = Table(
    "organisation",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("slug", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("api_key", Text, nullable=False, unique=True),
    Column("created_at", Instant, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("ended_at", Instant),
    Column("epoch", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("settings", Json(dict[str, dict[str, Any]]), nullable=False),
    Column("erased_at", Instant),
)

CLIENT = Table(
    "client",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("organisation_id", Text, ForeignKey("organisation.id"), nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("dialects", Json(WORDS), nullable=False),
    Column("grants", Json(WORDS), nullable=False),
    Column("scopes", Json(WORDS), nullable=False),
    Column("audiences", Json(WORDS), nullable=False),
    Column("public", Boolean, nullable=False),
    Column("rights", Json(WORDS), nullable=False),
    Column("max_lifetime_seconds", BigInteger),
    Column("disabled", Boolean, nullable=False),
    Column("ended_at", Instant),
    Column("epoch", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
)

CREDENTIAL = Table(
    "credential",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("kind", Word(CredentialKind), nullable=False),
    Column("owner_id", Text, nullable=False),
    Column("organisation_id", Text, ForeignKey("organisation.id"), nullable=False, index=True),
    Column("name", Text, nullable=False),
    # The life, field by field: upkeep will ask for those that expire, and no portable SQL asks inside JSON.
    Column("created_at", Instant, nullable=False),
    Column("state", Word(State), nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("expires_at", Instant),
    Column("grace_until", Instant),
    Column("overlap_until", Instant),
    Column("ended_at", Instant),
    Column("ended_why", Text),
    Column("dialects", Json(WORDS), nullable=False),
    Column("lookup_hash", LargeBinary, nullable=False, index=True),
    Column("pepper_id", Text, nullable=False),
    Column("scopes", Json(WORDS)),
    Column("roles", Json(WORDS)),
    Column("verifier", Text),
    Column("sealed", LargeBinary),
    Column("mfa", Boolean, nullable=False, server_default=false()),
    Column("accepted_step", BigInteger),
    Column("last_used_on", Day),
    Column("woken_on", Day),
    Column("succeeds", Text),
    Column("public_jwk", Json(dict[str, str])),
    Column("epoch", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Index("ix_credential_owner_id_kind", "owner_id", "kind"),
)

SIGNING_KEY = Table(
    "signing_key",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("issuer_id", Text, nullable=False, index=True),
    Column("algorithm", Word(Algorithm), nullable=False),
    Column("public_jwk", Json(dict[str, str]), nullable=False),
    Column("sealed_private", LargeBinary, nullable=False),
    Column("published_at", Instant, nullable=False),
    Column("signs_from", Instant, nullable=False),
    Column("active_at", Instant),
    Column("retires_at", Instant),
    Column("certificate", LargeBinary),
)

SEALED = Table(
    "sealed",
    METADATA,
    Column("purpose", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("value", LargeBinary, nullable=False),
    Column("created_at", Instant, nullable=False),
)

REFRESH_FAMILY = Table(
    "refresh_family",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("organisation_id", Text, ForeignKey("organisation.id"), nullable=False, index=True),
    Column("client_id", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("dialect", Text, nullable=False),
    Column("profile", Text, nullable=False),
    Column("credential_id", Text, nullable=False),
    Column("scopes", Json(WORDS), nullable=False),
    Column("audiences", Json(WORDS), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("ends_at", Instant, nullable=False),
    Column("epochs", Json(tuple[int, ...]), nullable=False),
    Column("current_hash", LargeBinary, nullable=False),
    Column("pepper_id", Text, nullable=False),
    Column("owner_kind", Word(OwnerKind), nullable=False, server_default=OwnerKind.CLIENT.value),
    Column("generation", BigInteger, nullable=False),
    Column("previous_hash", LargeBinary),
    Column("rotated_at", Instant),
    Column("successor_sealed", LargeBinary),
    Column("ended_at", Instant),
    Column("ended_why", Text),
    Column("version", BigInteger, nullable=False),
)

REVOCATION = Table(
    "revocation",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("organisation_id", Text, nullable=False),
    Column("revoked_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
)

SPENT = Table(
    "spent",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("organisation_id", Text, nullable=False),
    Column("expires_at", Instant, nullable=False),
)

LIMIT_CELL = Table(
    "limit_cell",
    METADATA,
    Column("name", LargeBinary, primary_key=True),
    # Nanoseconds, unlike every other time here: at a thousand a second a microsecond is too coarse.
    Column("arrival", BigInteger, nullable=False, index=True),
)

LOCKOUT = Table(
    "lockout",
    METADATA,
    Column("key", LargeBinary, primary_key=True),
    Column("name_key", LargeBinary, nullable=False, index=True),
    Column("failures", BigInteger, nullable=False),
    Column("failed_at", Instant),
    Column("known_at", Instant),
)

AUDIT_CHAIN = Table(
    "audit_chain",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("chain", Text, nullable=False, unique=True),
    Column("started_at", Instant, nullable=False),
)

AUDIT = Table(
    "audit",
    METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("chain_id", Integer, ForeignKey("audit_chain.id"), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("at", Instant, nullable=False),
    Column("kind", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("organisation_id", Text),
    Column("subject", Text),
    Column("reason", Text),
    Column("details", Json(dict[str, str]), nullable=False),
    Column("sealed_personal", LargeBinary),
    Column("prev_hash", LargeBinary, nullable=False),
    Column("row_hash", LargeBinary, nullable=False),
    UniqueConstraint("chain_id", "seq", name="uq_audit_chain_id_seq"),
)

FEED = Table(
    "feed",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("version", BigInteger, nullable=False),
)

CHANGE_LOG = Table(
    "change_log",
    METADATA,
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("topic", Text, primary_key=True),
    Column("key", Text, primary_key=True),
)
