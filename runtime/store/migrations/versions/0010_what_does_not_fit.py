"""of what does not fit, which type it had."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    with op.batch_alter_table("unmapped", schema=None) as batch_op:
        batch_op.add_column(sa.Column("found", sa.String(length=16), server_default="", nullable=False))


def downgrade() -> None:
    """Backward. What did not fit would be taken for names that no rule sees."""
    op.execute("DELETE FROM unmapped WHERE kind NOT IN ('event', 'property', 'trait', 'further')")
    with op.batch_alter_table("unmapped", schema=None) as batch_op:
        batch_op.drop_column("found")
