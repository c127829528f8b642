"""Let a credential be a public key."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a column that is empty for every other kind, and that older processes never name."""
    op.add_column("credential", sa.Column("public_jwk", sa.Text))
