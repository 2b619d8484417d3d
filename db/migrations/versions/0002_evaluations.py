"""Persistent splits, scores for "none of these", suspected labels, exports, and alias history."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

import db.clock

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

Json = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")
Identity = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
KINDS = ("training", "batch", "prediction", "import")
NEW_KINDS = ("evaluation", "export")
ADDED: dict[str, dict[str, Any]] = {
    "images": {"drawn_split": sa.String(5), "group_name": sa.String(200), "phash": sa.String(16)},
    "snapshots": {"leakage": Json},
    "models": {"weights_source": sa.Text(), "imported_from": sa.String(40)},
    "predictions": {"known_score": sa.Float()},
    "evaluation_items": {"known_score": sa.Float()},
}
EVALUATION_COUNTS = ("errored", "seen_in_training")


def upgrade() -> None:
    for table, columns in ADDED.items():
        for name, kind in columns.items():
            op.add_column(table, sa.Column(name, kind, nullable=True))
    op.add_column("models", sa.Column("versions", Json, nullable=False, server_default=sa.text("'{}'")))
    for name in EVALUATION_COUNTS:
        op.add_column("evaluations", sa.Column(name, sa.Integer(), nullable=False, server_default=sa.text("0")))
    op.create_index("ix_evaluation_items_content", "evaluation_items", ["evaluation_id", "sha256"], unique=False)
    allow_kinds(KINDS + NEW_KINDS)
    op.create_table(
        "model_exports",
        sa.Column("model_id", sa.String(length=40), nullable=False),
        sa.Column("format", sa.String(length=20), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("facts", Json, nullable=False),
        sa.Column("created_at", db.clock.Timestamp(), nullable=False),
        sa.ForeignKeyConstraint(
            ["model_id"], ["models.id"], name=op.f("fk_model_exports_model_id_models"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["sha256"], ["blobs.sha256"], name=op.f("fk_model_exports_sha256_blobs")),
        sa.PrimaryKeyConstraint("model_id", "format", name=op.f("pk_model_exports")),
    )
    op.create_index(op.f("ix_model_exports_sha256"), "model_exports", ["sha256"], unique=False)
    op.create_table(
        "alias_moves",
        sa.Column("id", Identity, autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("model_id", sa.String(length=40), nullable=True),
        sa.Column("moved_by", sa.String(length=40), nullable=True),
        sa.Column("at", db.clock.Timestamp(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alias_moves")),
    )
    op.create_index("ix_alias_moves_name", "alias_moves", ["name", "id"], unique=False)
    op.execute("INSERT INTO alias_moves (name, model_id, at) SELECT name, model_id, updated_at FROM aliases")
    op.create_table(
        "label_suspects",
        sa.Column("model_id", sa.String(length=40), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("image_id", sa.String(length=40), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("split", sa.String(length=5), nullable=False),
        sa.Column("label", sa.String(length=200), nullable=False),
        sa.Column("suggested_label", sa.String(length=200), nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["model_id"], ["models.id"], name=op.f("fk_label_suspects_model_id_models"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("model_id", "rank", name=op.f("pk_label_suspects")),
    )


def downgrade() -> None:
    for table in ("label_suspects", "alias_moves", "model_exports"):
        op.drop_table(table)
    listed = ", ".join(f"'{kind}'" for kind in NEW_KINDS)
    op.execute(f"DELETE FROM jobs WHERE kind IN ({listed})")  # noqa: S608 - constants of this file
    allow_kinds(KINDS)
    op.drop_column("models", "versions")
    op.drop_index("ix_evaluation_items_content", "evaluation_items")
    for name in EVALUATION_COUNTS:
        op.drop_column("evaluations", name)
    for table, columns in ADDED.items():
        for name in columns:
            op.drop_column(table, name)


def allow_kinds(kinds: tuple[str, ...]) -> None:
    listed = ", ".join(f"'{kind}'" for kind in kinds)
    with op.batch_alter_table("jobs") as jobs:
        jobs.drop_constraint(op.f("ck_jobs_kind"), type_="check")
        jobs.create_check_constraint(op.f("ck_jobs_kind"), f"kind IN ({listed})")
