"""Add what is told to others: notices, who wants to hear them, and each one's way there."""

import sqlalchemy as sa
from alembic import op

from keyturn.storage.text import TEXT

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add three tables that older processes do not look at."""
    op.create_table(
        "notice",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("organisation_id", TEXT),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("details", TEXT, nullable=False),
        sa.Column("spread_at", sa.BigInteger),
        sa.Column("version", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "notice_subscription",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("organisation_id", TEXT),
        sa.Column("channel", TEXT, nullable=False),
        sa.Column("target", TEXT, nullable=False),
        sa.Column("kinds", TEXT, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("secret", sa.LargeBinary),
        sa.Column("previous_until", sa.BigInteger),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("version", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "notice_delivery",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("notice_id", TEXT, nullable=False),
        sa.Column("subscription_id", TEXT, nullable=False),
        sa.Column("organisation_id", TEXT),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("next_at", sa.BigInteger),
        sa.Column("tries", sa.BigInteger, nullable=False),
        sa.Column("delivered_at", sa.BigInteger),
        sa.Column("dead_at", sa.BigInteger),
        sa.Column("problem", TEXT, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
    )
    for table, column in (
        ("notice", "organisation_id"),
        ("notice", "expires_at"),
        ("notice", "spread_at"),
        ("notice_subscription", "organisation_id"),
        ("notice_delivery", "organisation_id"),
        ("notice_delivery", "expires_at"),
        ("notice_delivery", "next_at"),
        ("notice_delivery", "dead_at"),
    ):
        op.create_index(f"ix_{table}_{column}", table, [column])
