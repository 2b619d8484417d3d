"""Analyses: measures of pictures, findings, and other names of pictures that were added again."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

import db.clock

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

Json = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")
KINDS = ("training", "batch", "prediction", "import", "evaluation", "export")
NEW_KIND = "analysis"
SCORES = ("blurry", "dark", "light", "low_information", "grayscale")
TABLES = ("findings", "analyses", "image_measures", "image_names")


def upgrade() -> None:
    allow_kinds((*KINDS, NEW_KIND))
    op.drop_index("ix_images_dataset_label", "images")
    op.create_index("ix_images_dataset_label", "images", ["dataset_id", "label", "id", "split"], unique=False)
    op.create_index("ix_images_dataset", "images", ["dataset_id", "id"], unique=False)
    op.create_index("ix_images_dataset_split", "images", ["dataset_id", "split", "id"], unique=False)
    op.create_table(
        "image_names",
        sa.Column("image_id", sa.String(length=40), nullable=False),
        sa.Column("name_sha256", sa.String(length=64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("label", sa.String(length=200), nullable=True),
        of_image("image_names"),
        sa.PrimaryKeyConstraint("image_id", "name_sha256", name=op.f("pk_image_names")),
    )
    op.create_table(
        "image_measures",
        sa.Column("image_id", sa.String(length=40), nullable=False),
        *(sa.Column(name, sa.Float(), nullable=False) for name in SCORES),
        sa.Column("hashes", sa.LargeBinary(), nullable=False),
        sa.Column("greys", sa.LargeBinary(), nullable=False),
        sa.Column("compared", sa.Boolean(), nullable=False),
        of_image("image_measures"),
        sa.PrimaryKeyConstraint("image_id", name=op.f("pk_image_measures")),
    )
    op.create_table(
        "analyses",
        sa.Column("dataset_id", sa.String(length=40), nullable=False),
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column("images", sa.Integer(), nullable=False),
        sa.Column("unavailable", Json, nullable=False),
        sa.Column("finished_at", db.clock.Timestamp(), nullable=False),
        of_dataset("analyses"),
        sa.PrimaryKeyConstraint("dataset_id", name=op.f("pk_analyses")),
    )
    op.create_table(
        "findings",
        sa.Column("image_id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("dataset_id", sa.String(length=40), nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.Column("group_id", sa.String(length=40), nullable=False),
        sa.Column("suggestion", Json, nullable=True),
        of_image("findings"),
        of_dataset("findings"),
        sa.PrimaryKeyConstraint("image_id", "kind", name=op.f("pk_findings")),
    )
    order = ["dataset_id", "kind", "score", "group_id", "image_id"]
    op.create_index("ix_findings_order", "findings", order, unique=False)


def downgrade() -> None:
    for table in TABLES:
        op.drop_table(table)
    op.drop_index("ix_images_dataset_split", "images")
    op.drop_index("ix_images_dataset", "images")
    op.drop_index("ix_images_dataset_label", "images")
    op.create_index("ix_images_dataset_label", "images", ["dataset_id", "label", "id"], unique=False)
    op.execute(f"DELETE FROM jobs WHERE kind = '{NEW_KIND}'")  # noqa: S608 - a constant of this file
    allow_kinds(KINDS)


def of_image(table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_image_id_images")
    return sa.ForeignKeyConstraint(["image_id"], ["images.id"], name=name, ondelete="CASCADE")


def of_dataset(table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_dataset_id_datasets")
    return sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], name=name, ondelete="CASCADE")


def allow_kinds(kinds: tuple[str, ...]) -> None:
    listed = ", ".join(f"'{kind}'" for kind in kinds)
    with op.batch_alter_table("jobs") as jobs:
        jobs.drop_constraint(op.f("ck_jobs_kind"), type_="check")
        jobs.create_check_constraint(op.f("ck_jobs_kind"), f"kind IN ({listed})")
