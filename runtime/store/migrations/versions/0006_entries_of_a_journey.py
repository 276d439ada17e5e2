"""entries of a journey."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.drop_index("enrolments_of_user", table_name="enrolments")
    op.create_index("enrolments_of_user", "enrolments", ["user_id", "journey"], unique=False)


def downgrade() -> None:
    """Back."""
    op.drop_index("enrolments_of_user", table_name="enrolments")
    op.create_index("enrolments_of_user", "enrolments", ["user_id"], unique=False)
