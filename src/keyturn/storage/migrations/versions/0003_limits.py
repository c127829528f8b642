"""Add the counters that processes share: of requests, and of failed attempts."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the two tables."""
    op.create_table(
        "limit_cell",
        sa.Column("name", sa.LargeBinary, primary_key=True),
        sa.Column("arrival", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_limit_cell_arrival", "limit_cell", ["arrival"])
    op.create_table(
        "lockout",
        sa.Column("key", sa.LargeBinary, primary_key=True),
        sa.Column("name_key", sa.LargeBinary, nullable=False),
        sa.Column("failures", sa.BigInteger, nullable=False),
        sa.Column("failed_at", sa.BigInteger),
        sa.Column("known_at", sa.BigInteger),
    )
    op.create_index("ix_lockout_name_key", "lockout", ["name_key"])
