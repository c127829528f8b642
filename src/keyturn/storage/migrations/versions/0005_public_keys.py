"""Let a credential be a public key."""

import sqlalchemy as sa
from alembic import op

from keyturn.storage.text import TEXT

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a column that is empty for every other kind, and that older processes never name."""
    op.add_column("credential", sa.Column("public_jwk", TEXT))
