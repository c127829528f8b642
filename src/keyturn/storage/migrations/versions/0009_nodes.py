"""Add the server processes of a deployment, and which master keys each of them holds."""

import sqlalchemy as sa
from alembic import op

from keyturn.storage.text import TEXT

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a table that older processes do not look at."""
    op.create_table(
        "node",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("seen_at", sa.BigInteger, nullable=False),
        sa.Column("held", TEXT, nullable=False),
        sa.Column("sealing_under", TEXT, nullable=False),
    )
    op.create_index("ix_node_seen_at", "node", ["seen_at"])
