"""Add people and what they are in, and what their credentials need."""

import sqlalchemy as sa
from alembic import op

from keyturn.storage.text import TEXT

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables, and columns that older processes leave empty or at their defaults."""
    _users()
    _memberships()
    _teams_and_projects()
    _entities()
    op.add_column("credential", sa.Column("grace_until", sa.BigInteger))
    op.add_column("credential", sa.Column("roles", TEXT))
    op.add_column("credential", sa.Column("verifier", TEXT))
    op.add_column("credential", sa.Column("sealed", sa.LargeBinary))
    op.add_column("credential", sa.Column("mfa", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("credential", sa.Column("accepted_step", sa.BigInteger))
    op.add_column("refresh_family", sa.Column("owner_kind", TEXT, nullable=False, server_default="client"))
    op.add_column("signing_key", sa.Column("certificate", sa.LargeBinary))


def _users() -> None:
    op.create_table(
        "user_account",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("organisation_id", TEXT, sa.ForeignKey("organisation.id"), nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("place", TEXT),
        sa.Column("display_name", TEXT, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("service", sa.Boolean, nullable=False),
        sa.Column("email", TEXT),
        sa.Column("email_verified_at", sa.BigInteger),
        sa.Column("given_name", TEXT, nullable=False),
        sa.Column("family_name", TEXT, nullable=False),
        sa.Column("mfa_required", sa.Boolean, nullable=False),
        sa.Column("last_organisation_id", TEXT),
        sa.Column("disabled", sa.Boolean, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
    )
    op.create_index("ux_user_account_place", "user_account", ["organisation_id", "place"], unique=True)
    op.create_index("ux_user_account_email", "user_account", ["email"], unique=True)


def _memberships() -> None:
    op.create_table(
        "membership",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("user_id", TEXT, sa.ForeignKey("user_account.id"), nullable=False),
        sa.Column("organisation_id", TEXT, sa.ForeignKey("organisation.id"), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("roles", TEXT, nullable=False),
        sa.Column("teams", TEXT, nullable=False),
        sa.Column("disabled", sa.Boolean, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
    )
    op.create_index("ux_membership_pair", "membership", ["user_id", "organisation_id"], unique=True)
    op.create_index("ix_membership_organisation_id", "membership", ["organisation_id"])


def _teams_and_projects() -> None:
    op.create_table(
        "team",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("organisation_id", TEXT, sa.ForeignKey("organisation.id"), nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("place", TEXT),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("parent_id", TEXT),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("version", sa.BigInteger, nullable=False),
    )
    op.create_index("ux_team_place", "team", ["organisation_id", "place"], unique=True)
    op.create_table(
        "project",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("organisation_id", TEXT, sa.ForeignKey("organisation.id"), nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("place", TEXT),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("teams", TEXT, nullable=False),
        sa.Column("open", sa.Boolean, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("version", sa.BigInteger, nullable=False),
    )
    op.create_index("ux_project_place", "project", ["organisation_id", "place"], unique=True)


def _entities() -> None:
    op.create_table(
        "entity",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("subject", TEXT, nullable=False),
        sa.Column("organisation_id", TEXT, sa.ForeignKey("organisation.id"), nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("type", TEXT, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("users", TEXT, nullable=False),
        sa.Column("disabled", sa.Boolean, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
    )
    op.create_index("ux_entity_subject", "entity", ["subject"], unique=True)
    op.create_index("ix_entity_organisation_id", "entity", ["organisation_id"])
