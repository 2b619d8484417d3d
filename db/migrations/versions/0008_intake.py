"""The table that an import was sent beside its pictures, or instead of them."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Both databases understand this; Alembic would add the reference by itself, which SQLite cannot.
    op.execute(
        "ALTER TABLE jobs ADD COLUMN table_sha256 VARCHAR(64)"
        " CONSTRAINT fk_jobs_table_sha256_blobs REFERENCES blobs (sha256)"
    )
    op.create_index("ix_jobs_table_sha256", "jobs", ["table_sha256"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_jobs_table_sha256", "jobs")
    with op.batch_alter_table("jobs") as jobs:  # SQLite drops no column that a foreign key names
        jobs.drop_column("table_sha256")
