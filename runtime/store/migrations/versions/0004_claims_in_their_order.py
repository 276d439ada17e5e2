"""claims in their order."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.create_index(
        "messages_urgent", "messages", ["lane", sa.text("priority DESC"), "not_before", "key"], unique=False,
        postgresql_where=sa.text("state = 'PENDING'"), sqlite_where=sa.text("state = 'PENDING'"),
    )  # fmt: skip


def downgrade() -> None:
    """Back."""
    op.drop_index("messages_urgent", table_name="messages")
