"""Add what the admin API keeps: its tokens, and answers that a repeated request is given again."""

import sqlalchemy as sa
from alembic import op

from keyturn.storage.text import TEXT

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add two tables that older processes do not look at."""
    op.create_table(
        "admin_token",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("organisation_id", TEXT),
        sa.Column("scopes", TEXT, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("lookup_hash", sa.LargeBinary, nullable=False),
        sa.Column("pepper_id", TEXT, nullable=False),
        sa.Column("setup", sa.Boolean, nullable=False),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("last_used_on", TEXT),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("ended_why", TEXT),
        sa.Column("version", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_admin_token_organisation_id", "admin_token", ["organisation_id"])
    op.create_index("ix_admin_token_lookup_hash", "admin_token", ["lookup_hash"])
    op.create_table(
        "kept_answer",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("organisation_id", TEXT),
        sa.Column("request_hash", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("answer", sa.LargeBinary),
        sa.Column("version", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_kept_answer_organisation_id", "kept_answer", ["organisation_id"])
    op.create_index("ix_kept_answer_expires_at", "kept_answer", ["expires_at"])
