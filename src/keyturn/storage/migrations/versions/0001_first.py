"""Make the first tables: who exists, what is sealed, the audit trail and the change feed."""

import sqlalchemy as sa
from alembic import op

from keyturn.storage.text import TEXT

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add every table of the first version."""
    _directory()
    _secrets()
    _audit()
    _feed()


def _directory() -> None:
    op.create_table(
        "organisation",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("slug", TEXT, nullable=False, unique=True),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("api_key", TEXT, nullable=False, unique=True),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("disabled", sa.Boolean, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("settings", TEXT, nullable=False),
    )
    op.create_table(
        "client",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("organisation_id", TEXT, sa.ForeignKey("organisation.id"), nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("dialects", TEXT, nullable=False),
        sa.Column("grants", TEXT, nullable=False),
        sa.Column("scopes", TEXT, nullable=False),
        sa.Column("audiences", TEXT, nullable=False),
        sa.Column("max_lifetime_seconds", sa.BigInteger),
        sa.Column("disabled", sa.Boolean, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_client_organisation_id", "client", ["organisation_id"])
    op.create_table(
        "credential",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("owner_id", TEXT, nullable=False),
        sa.Column("organisation_id", TEXT, sa.ForeignKey("organisation.id"), nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("disabled", sa.Boolean, nullable=False),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("overlap_until", sa.BigInteger),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("ended_why", TEXT),
        sa.Column("dialects", TEXT, nullable=False),
        sa.Column("lookup_hash", sa.LargeBinary, nullable=False),
        sa.Column("pepper_id", TEXT, nullable=False),
        sa.Column("scopes", TEXT),
        sa.Column("last_used_on", TEXT),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_credential_owner_id_kind", "credential", ["owner_id", "kind"])


def _secrets() -> None:
    op.create_table(
        "signing_key",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("issuer_id", TEXT, nullable=False),
        sa.Column("algorithm", TEXT, nullable=False),
        sa.Column("public_jwk", TEXT, nullable=False),
        sa.Column("sealed_private", sa.LargeBinary, nullable=False),
        sa.Column("published_at", sa.BigInteger, nullable=False),
        sa.Column("signs_from", sa.BigInteger, nullable=False),
        sa.Column("active_at", sa.BigInteger),
        sa.Column("retires_at", sa.BigInteger),
    )
    op.create_index("ix_signing_key_issuer_id", "signing_key", ["issuer_id"])
    op.create_table(
        "sealed",
        sa.Column("purpose", TEXT, primary_key=True),
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("value", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )


def _audit() -> None:
    op.create_table(
        "audit_chain",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("chain", TEXT, nullable=False, unique=True),
        sa.Column("started_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("chain_id", sa.Integer, sa.ForeignKey("audit_chain.id"), nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("actor", TEXT, nullable=False),
        sa.Column("request_id", TEXT, nullable=False),
        sa.Column("outcome", TEXT, nullable=False),
        sa.Column("organisation_id", TEXT),
        sa.Column("subject", TEXT),
        sa.Column("reason", TEXT),
        sa.Column("details", TEXT, nullable=False),
        sa.Column("sealed_personal", sa.LargeBinary),
        sa.Column("prev_hash", sa.LargeBinary, nullable=False),
        sa.Column("row_hash", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("chain_id", "seq", name="uq_audit_chain_id_seq"),
    )


def _feed() -> None:
    feed = op.create_table(
        "feed",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(feed, [{"id": 1, "version": 0}])
    op.create_table(
        "change_log",
        sa.Column("version", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("topic", TEXT, primary_key=True),
        sa.Column("key", TEXT, primary_key=True),
    )
