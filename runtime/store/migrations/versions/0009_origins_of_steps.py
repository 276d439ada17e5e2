"""which name each step of a version first had."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward. Of the versions so far each step's origin is what its file says (`was`, or its name)."""
    with op.batch_alter_table("versions", schema=None) as batch_op:
        batch_op.add_column(sa.Column("origins", sa.Text(), server_default="{}", nullable=False))


def downgrade() -> None:
    """Backward."""
    with op.batch_alter_table("versions", schema=None) as batch_op:
        batch_op.drop_column("origins")
