"""Workers report which pretrained weights they can load, so that a training that no worker can run is refused."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("workers_seen") as seen:
        seen.add_column(sa.Column("weights", sa.JSON(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("workers_seen") as seen:
        seen.drop_column("weights")
