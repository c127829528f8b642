"""Add refresh families, revocations, spent single-use things, and the rights of clients."""

import sqlalchemy as sa
from alembic import op

from keyturn.storage.text import TEXT

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables, and a column that older processes leave at its default."""
    op.add_column("client", sa.Column("public", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("client", sa.Column("rights", TEXT, nullable=False, server_default="[]"))
    op.create_table(
        "refresh_family",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("organisation_id", TEXT, sa.ForeignKey("organisation.id"), nullable=False),
        sa.Column("client_id", TEXT, nullable=False),
        sa.Column("subject", TEXT, nullable=False),
        sa.Column("dialect", TEXT, nullable=False),
        sa.Column("profile", TEXT, nullable=False),
        sa.Column("credential_id", TEXT, nullable=False),
        sa.Column("scopes", TEXT, nullable=False),
        sa.Column("audiences", TEXT, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("ends_at", sa.BigInteger, nullable=False),
        sa.Column("epochs", TEXT, nullable=False),
        sa.Column("current_hash", sa.LargeBinary, nullable=False),
        sa.Column("pepper_id", TEXT, nullable=False),
        sa.Column("generation", sa.BigInteger, nullable=False),
        sa.Column("previous_hash", sa.LargeBinary),
        sa.Column("rotated_at", sa.BigInteger),
        sa.Column("successor_sealed", sa.LargeBinary),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("ended_why", TEXT),
        sa.Column("version", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "revocation",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("organisation_id", TEXT, nullable=False),
        sa.Column("revoked_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "spent",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("organisation_id", TEXT, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )
