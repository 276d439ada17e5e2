"""one counter for the pace of a journey, in place of one for each population."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward. The window that began last goes on; what several populations took in windows that began together adds up."""
    op.create_table(
        "paces",
        sa.Column("journey", sa.String(length=64), nullable=False),
        sa.Column("window_at", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("taken", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("journey"),
    )
    op.execute(
        "INSERT INTO paces (journey, window_at, taken) SELECT p.journey, p.window_at, sum(p.taken) FROM populations p"
        " WHERE p.window_at = (SELECT max(q.window_at) FROM populations q WHERE q.journey = p.journey AND q.taken > 0)"
        " GROUP BY p.journey, p.window_at"
    )
    with op.batch_alter_table("populations", schema=None) as batch_op:
        batch_op.drop_column("window_at")
        batch_op.drop_column("taken")


def downgrade() -> None:
    """Backward: each population that is not done goes on in the journey's window."""
    with op.batch_alter_table("populations", schema=None) as batch_op:
        batch_op.add_column(sa.Column("taken", sa.Integer(), server_default=sa.text("0"), nullable=False))
        batch_op.add_column(sa.Column("window_at", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
    mine = "FROM paces p WHERE p.journey = populations.journey"
    op.execute(f"UPDATE populations SET window_at = (SELECT p.window_at {mine}) WHERE EXISTS (SELECT 1 {mine})")  # noqa: S608
    op.execute(f"UPDATE populations SET taken = (SELECT p.taken {mine}) WHERE EXISTS (SELECT 1 {mine})")  # noqa: S608
    op.drop_table("paces")
