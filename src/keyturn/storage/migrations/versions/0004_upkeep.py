"""Add leases, rings that are due, the clock's mark, audit checkpoints, and indexes for what expires."""

import sqlalchemy as sa
from alembic import op

from keyturn.storage.text import TEXT

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables of upkeep."""
    op.create_table(
        "lease",
        sa.Column("name", TEXT, primary_key=True),
        sa.Column("holder", TEXT, nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False),
        sa.Column("ran_at", sa.BigInteger),
        sa.Column("failures", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("outcome", TEXT, nullable=False, server_default=""),
    )
    op.create_table(
        "due_ring",
        sa.Column("issuer_id", TEXT, primary_key=True),
        sa.Column("algorithm", TEXT, primary_key=True),
        sa.Column("noted_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "clock_mark",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("newest_at", sa.BigInteger, nullable=False),
        sa.Column("accepted", sa.BigInteger, nullable=False),
        sa.Column("accepted_after", sa.BigInteger, nullable=False),
        sa.Column("stepped_at", sa.BigInteger),
    )
    op.create_table(
        "audit_checkpoint",
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("statement", sa.LargeBinary, nullable=False),
        sa.Column("signature", sa.LargeBinary, nullable=False),
        sa.Column("key_id", TEXT, nullable=False),
    )
    for table, column in (
        ("revocation", "expires_at"),
        ("spent", "expires_at"),
        ("refresh_family", "ends_at"),
        ("refresh_family", "ended_at"),
        ("signing_key", "active_at"),
        ("signing_key", "retires_at"),
    ):
        op.create_index(f"ix_{table}_{column}", table, [column])
