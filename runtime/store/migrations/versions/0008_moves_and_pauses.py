"""what a release does to those inside, pauses of journeys, and which release each one follows."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward. The releases so far followed each other by number."""
    op.create_table(
        "moves",
        sa.Column("release_id", sa.Integer(), nullable=False),
        sa.Column("journey", sa.String(length=64), nullable=False),
        sa.Column("way", sa.String(length=8), nullable=False),
        sa.Column("steps", sa.Text(), nullable=False),
        sa.Column("cursor", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("done_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["release_id"], ["releases.id"]),
        sa.PrimaryKeyConstraint("release_id", "journey"),
    )
    op.create_table(
        "pauses",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("journey", sa.String(length=64), nullable=False),
        sa.Column("paused_at", sa.BigInteger(), nullable=False),
        sa.Column("paused_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("resumed_at", sa.BigInteger(), nullable=True),
        sa.Column("resumed_by", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    open_ = sa.text("resumed_at IS NULL")
    op.create_index("pauses_now", "pauses", ["journey"], unique=True, postgresql_where=open_, sqlite_where=open_)
    op.drop_index("enrolments_due", table_name="enrolments")
    timer, none = sa.text("due_at IS NOT NULL"), sa.text("due_at IS NULL AND status < 2")
    columns = ["version_id", "due_at", "state", "status", "begun_at"]
    op.create_index("enrolments_due", "enrolments", columns, postgresql_where=timer, sqlite_where=timer)
    op.create_index("enrolments_without_timer", "enrolments", ["version_id", "state"], postgresql_where=none, sqlite_where=none)
    with op.batch_alter_table("releases", schema=None) as batch_op:
        batch_op.add_column(sa.Column("follows", sa.Integer(), nullable=True))
    op.execute("UPDATE releases SET follows = coalesce((SELECT max(b.id) FROM releases b WHERE b.id < releases.id), 0)")
    with op.batch_alter_table("releases", schema=None) as batch_op:
        batch_op.alter_column("follows", existing_type=sa.Integer(), nullable=False)
        batch_op.create_index("releases_follow", ["follows"], unique=True)


def downgrade() -> None:
    """Backward."""
    with op.batch_alter_table("releases", schema=None) as batch_op:
        batch_op.drop_index("releases_follow")
        batch_op.drop_column("follows")
    op.drop_index("enrolments_without_timer", table_name="enrolments")
    op.drop_index("enrolments_due", table_name="enrolments")
    timer = sa.text("due_at IS NOT NULL")
    op.create_index("enrolments_due", "enrolments", ["version_id", "due_at"], postgresql_where=timer, sqlite_where=timer)
    op.drop_table("pauses")
    op.drop_table("moves")
