"""Whether an analysis is to be explained, whether it is one of a video, and how long it will still take."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ADDED = ("explain", "video", "seconds_left")


def upgrade() -> None:
    """Add the columns; what was there before was a picture without an explanation."""
    for name in ADDED[:2]:
        op.add_column("analyses", sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("analyses", sa.Column(ADDED[2], sa.Float()))


def downgrade() -> None:
    """Drop them."""
    with op.batch_alter_table("analyses") as table:
        for name in reversed(ADDED):
            table.drop_column(name)
