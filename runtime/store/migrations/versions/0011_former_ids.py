"""who is a former id is counted without a look at everybody."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    where = sa.text("merged_into IS NOT NULL")
    op.create_index("users_merged", "users", ["merged_into"], postgresql_where=where, sqlite_where=where)


def downgrade() -> None:
    """Backward."""
    op.drop_index("users_merged", table_name="users")
