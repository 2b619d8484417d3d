"""The same lease columns for jobs and chunks: jobs back off like chunks; scheduling between keys, per queue."""

import sqlalchemy as sa
from alembic import op

import db.clock

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("rests_until", db.clock.Timestamp(), nullable=True))
    # A backing-off job was stored as if its message had been sent in the future, less five seconds.
    jobs = sa.table("jobs", *(sa.column(name, db.clock.Timestamp()) for name in ("rests_until", "sent_at")))
    op.execute(jobs.update().where(jobs.c.sent_at > db.clock.now()).values(rests_until=jobs.c.sent_at))
    op.drop_column("jobs", "sent_at")
    op.create_table(
        "queue_turns",
        sa.Column("queue", sa.String(20), nullable=False),
        sa.Column("key_id", sa.String(40), nullable=False),
        sa.Column("turn", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("queue", "key_id", name=op.f("pk_queue_turns")),
    )


def downgrade() -> None:
    op.drop_table("queue_turns")
    op.add_column("jobs", sa.Column("sent_at", db.clock.Timestamp(), nullable=True))
    op.drop_column("jobs", "rests_until")
