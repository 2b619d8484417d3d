"""Suggestions of labels: where the last round put each unlabelled image, and the kind of job that does it."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

KINDS = ("training", "batch", "prediction", "import", "evaluation", "export", "analysis")
NEW_KIND = "suggestion"


def upgrade() -> None:
    allow_kinds((*KINDS, NEW_KIND))
    op.create_table(
        "suggestions",
        sa.Column("image_id", sa.String(length=40), nullable=False),
        sa.Column("dataset_id", sa.String(length=40), nullable=False),
        sa.Column("pile", sa.String(length=220), nullable=False),
        sa.Column("label", sa.String(length=200), nullable=True),
        sa.Column("score", sa.Float(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        references("image_id", "images"),
        references("dataset_id", "datasets"),
        sa.PrimaryKeyConstraint("image_id", name=op.f("pk_suggestions")),
    )
    op.create_index("ix_suggestions_order", "suggestions", ["dataset_id", "pile", "rank", "image_id"], unique=False)


def downgrade() -> None:
    op.drop_table("suggestions")
    op.execute(f"DELETE FROM jobs WHERE kind = '{NEW_KIND}'")  # noqa: S608 - a constant of this file
    allow_kinds(KINDS)


def references(column: str, table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_suggestions_{column}_{table}")
    return sa.ForeignKeyConstraint([column], [f"{table}.id"], name=name, ondelete="CASCADE")


def allow_kinds(kinds: tuple[str, ...]) -> None:
    listed = ", ".join(f"'{kind}'" for kind in kinds)
    with op.batch_alter_table("jobs") as jobs:
        jobs.drop_constraint(op.f("ck_jobs_kind"), type_="check")
        jobs.create_check_constraint(op.f("ck_jobs_kind"), f"kind IN ({listed})")
