"""Add what a secret's life and an organisation's deletion need: two days, a predecessor, an end, indexes."""

import sqlalchemy as sa
from alembic import op

from keyturn.storage.text import TEXT

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add columns that older processes leave empty, and the indexes that deletion and inspection ask."""
    op.add_column("organisation", sa.Column("erased_at", sa.BigInteger))
    op.add_column("credential", sa.Column("woken_on", TEXT))
    op.add_column("credential", sa.Column("succeeds", TEXT))
    op.create_index("ix_credential_organisation_id", "credential", ["organisation_id"])
    op.create_index("ix_credential_lookup_hash", "credential", ["lookup_hash"])
    op.create_index("ix_refresh_family_organisation_id", "refresh_family", ["organisation_id"])
