"""Batches whose items and results are files in the store: a list of items and a part of results for each chunk."""

import sqlalchemy as sa
from alembic import op

from db.models import Json

revision = "0027"
down_revision = "0029"
branch_labels = None
depends_on = None

BLOBS = ("items_sha256", "part_sha256")


def upgrade() -> None:
    for name in BLOBS:  # works in both databases; the reference that Alembic would add does not work in SQLite
        reference = f"CONSTRAINT fk_chunks_{name}_blobs REFERENCES blobs (sha256)"
        op.execute(f"ALTER TABLE chunks ADD COLUMN {name} VARCHAR(64) {reference}")
        op.create_index(f"ix_chunks_{name}", "chunks", [name], unique=False)
    op.add_column("chunks", sa.Column("part", Json, nullable=True))
    op.add_column("chunks", sa.Column("error", Json, nullable=True))


def downgrade() -> None:
    for name in BLOBS:
        op.drop_index(f"ix_chunks_{name}", "chunks")
    with op.batch_alter_table("chunks") as chunks:  # SQLite cannot drop a column with a foreign key
        for name in (*BLOBS, "part", "error"):
            chunks.drop_column(name)
