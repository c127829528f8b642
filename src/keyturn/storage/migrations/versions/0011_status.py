"""Add what published status lists are made of."""

import sqlalchemy as sa
from alembic import op

from keyturn.storage.text import TEXT

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add tables that older processes do not look at."""
    op.create_table(
        "status_block",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("list_id", TEXT, nullable=False),
        sa.Column("organisation_id", TEXT, nullable=False),
        sa.Column("first", sa.BigInteger, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("owner_kind", TEXT, nullable=False),
        sa.Column("subject", TEXT, nullable=False),
        sa.Column("credential_id", TEXT, nullable=False),
        sa.Column("epochs", TEXT, nullable=False),
        sa.Column("client_id", TEXT),
        sa.Column("family_id", TEXT),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_status_block_expires_at", "status_block", ["expires_at"])
    op.create_index("ix_status_block_organisation_id_list_id", "status_block", ["organisation_id", "list_id"])
    op.create_table(
        "status_mark",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("list_id", TEXT, nullable=False),
        sa.Column("organisation_id", TEXT, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_status_mark_list_id", "status_mark", ["list_id"])
    op.create_index("ix_status_mark_expires_at", "status_mark", ["expires_at"])
