"""The table sent with an import, or instead of pictures."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Works in both databases; the reference that Alembic would add does not work in SQLite.
    op.execute(
        "ALTER TABLE jobs ADD COLUMN table_sha256 VARCHAR(64)"
        " CONSTRAINT fk_jobs_table_sha256_blobs REFERENCES blobs (sha256)"
    )
    op.create_index("ix_jobs_table_sha256", "jobs", ["table_sha256"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_jobs_table_sha256", "jobs")
    with op.batch_alter_table("jobs") as jobs:  # SQLite cannot drop a column with a foreign key
        jobs.drop_column("table_sha256")
