"""The tables. The state machine of jobs is in `tsukiji.jobs`; the CHECKs here are built from it."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    ColumnElement,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, column_property, mapped_column, relationship

from db.boxes import BoxText
from db.clock import Timestamp, now
from tsukiji.jobs import JobKind, JobStatus
from tsukiji.labels import MAX_SET_BYTES
from tsukiji.types import Box

Json = JSON().with_variant(JSONB(), "postgresql")
Identity = BigInteger().with_variant(Integer(), "sqlite")  # SQLite auto-increments only INTEGER
LabelText = String(MAX_SET_BYTES)
CONVENTION = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


def one_of(column: str, values: type[JobStatus | JobKind] | tuple[str, ...]) -> str:
    """Return a CHECK that a column holds one of these values."""
    return f"{column} IN ({', '.join(repr(str(value)) for value in values)})"


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=CONVENTION)
    type_annotation_map = {datetime: Timestamp, dict[str, Any]: Json, list[str]: Json, list[int]: Json, list[Any]: Json}  # noqa: RUF012 - SQLAlchemy's own class attribute


DEFAULT_PROJECT: Final = "prj_default"
"""The project that there always is; its administrators administer the service."""
PROJECT_OPTION: Final = "project"


def current_project(context: Any) -> str:
    """Return the project of what is inserted: that of the `Database`, else the default one."""
    return str(context.execution_options.get(PROJECT_OPTION, DEFAULT_PROJECT))


class Project(Base):
    """What data sets, models, jobs, uploads, aliases, webhooks and keys belong to; one sees nothing of another."""

    __tablename__ = "projects"
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    requests_per_minute: Mapped[int | None]
    """Of all its keys together; null: no limit."""
    pictures_per_day: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(default=now())


OTHERS = Project.__table__.alias("other_projects")


class OfProject:
    """What belongs to a project (`db.views` says who sees it)."""

    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), default=current_project)


class Owned(OfProject):
    """What the keys of its project alone see."""


class OfDataset:
    """What those see who see its data set."""

    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"))


class ApiKey(OfProject, Base):
    __tablename__ = "api_keys"
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    prefix: Mapped[str] = mapped_column(String(12))
    hash: Mapped[str] = mapped_column(String(64), unique=True)
    old_hash: Mapped[str | None] = mapped_column(String(64), unique=True)
    """Of the secret before the last rotation; it works until `old_expires_at`."""
    old_expires_at: Mapped[datetime | None]
    scopes: Mapped[list[str]]
    """Of `tsukiji.scopes`."""
    datasets: Mapped[list[str]] = mapped_column(default=list)
    """Ids. With these or `models`, the key sees nothing else (`db.views`)."""
    models: Mapped[list[str]] = mapped_column(default=list)
    """Ids, or names of aliases."""
    requests_per_minute: Mapped[int | None]
    """Its own rate; null: as the settings say."""
    pictures_per_day: Mapped[int | None]
    """Null: no limit but that of its project."""
    created_at: Mapped[datetime] = mapped_column(default=now())
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    created_by: Mapped[str | None] = mapped_column(String(40))
    """The key that created it over HTTP; null if created on the server."""
    person_id: Mapped[str | None] = mapped_column(ForeignKey("people.id"), index=True)
    """The person who signs in to it by the provider; its secret was discarded, and its scopes are their role."""
    project: Mapped[Project] = relationship(lazy="joined", innerjoin=True)
    several: Mapped[bool] = column_property(select(OTHERS.c.id).where(OTHERS.c.id != DEFAULT_PROJECT).exists())
    """Whether there are other projects than the default one: while there are none, nothing needs to be filtered."""


class Usage(Base):
    """How many pictures a key or a project sent on a day (UTC). Counted only where there is a quota."""

    __tablename__ = "usages"
    owner: Mapped[str] = mapped_column(String(40), primary_key=True)
    """The id of the key or project."""
    day: Mapped[str] = mapped_column(String(10), primary_key=True)
    pictures: Mapped[int] = mapped_column(BigInteger, default=0)


class Person(Base):
    """Someone whom the OpenID provider has signed in; what they may do is said by their keys, one for each project."""

    __tablename__ = "people"
    __table_args__ = (UniqueConstraint("issuer", "subject"),)
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    issuer: Mapped[str] = mapped_column(String(500))
    subject: Mapped[str] = mapped_column(String(255))
    email: Mapped[str | None] = mapped_column(String(320), index=True)
    name: Mapped[str | None] = mapped_column(String(200))
    claimed_role: Mapped[str | None] = mapped_column(String(20))
    """In the default project, as the provider's claim said at the last sign-in; null: all roles are by invitation."""
    barred: Mapped[bool] = mapped_column(default=False)
    """An administrator removed them from the default project: the claim alone does not let them in again."""
    created_at: Mapped[datetime] = mapped_column(default=now())
    signed_in_at: Mapped[datetime] = mapped_column(default=now())


class Invitation(OfProject, Base):
    """Lets who shows a verified e-mail address into a project, once; being accepted deletes the row."""

    __tablename__ = "invitations"
    __table_args__ = (UniqueConstraint("project_id", "email"),)
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    email: Mapped[str] = mapped_column(String(320), index=True)
    role: Mapped[str] = mapped_column(String(20))
    created_at: Mapped[datetime] = mapped_column(default=now())
    created_by: Mapped[str] = mapped_column(String(40))
    expires_at: Mapped[datetime]


class PageSession(Base):
    """A signed-in browser; the cookie's token is stored hashed."""

    __tablename__ = "page_sessions"
    hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    key_id: Mapped[str] = mapped_column(ForeignKey("api_keys.id", ondelete="CASCADE"))
    expires_at: Mapped[datetime]


class SignInLink(Base):
    """A link that signs one browser in; its token is stored hashed. Using the link deletes the row."""

    __tablename__ = "sign_in_links"
    hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    key_id: Mapped[str] = mapped_column(ForeignKey("api_keys.id", ondelete="CASCADE"))
    expires_at: Mapped[datetime]


class Blob(Base):
    """Bytes in the store. All references are foreign keys, so nothing in use can be deleted."""

    __tablename__ = "blobs"
    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    bytes: Mapped[int] = mapped_column(BigInteger)
    used_at: Mapped[datetime] = mapped_column(default=now(), index=True)


class Upload(Owned, Base):
    """A file uploaded in parts. Once complete, its bytes are a blob, kept until the upload expires."""

    __tablename__ = "uploads"
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    bytes: Mapped[int] = mapped_column(BigInteger)
    part_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str | None] = mapped_column(String(64), index=True)
    """As announced, then as verified on completion."""
    blob_sha256: Mapped[str | None] = mapped_column(ForeignKey("blobs.sha256"), index=True)
    token: Mapped[str] = mapped_column(Text)
    """The store's own upload id."""
    created_by: Mapped[str | None] = mapped_column(ForeignKey("api_keys.id", ondelete="SET NULL"))
    created_at: Mapped[datetime] = mapped_column(default=now())
    expires_at: Mapped[datetime] = mapped_column(index=True)
    completed_at: Mapped[datetime | None]


class UploadPart(Base):
    """A stored part with a verified hash."""

    __tablename__ = "upload_parts"
    upload_id: Mapped[str] = mapped_column(ForeignKey("uploads.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    tag: Mapped[str] = mapped_column(Text)
    """The store's own part id."""


class Dataset(Owned, Base):
    __tablename__ = "datasets"
    __table_args__ = (UniqueConstraint("project_id", "name"),)
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    description: Mapped[str] = mapped_column(Text, default="")
    kind: Mapped[str] = mapped_column(String(12), default="single_label")
    created_at: Mapped[datetime] = mapped_column(default=now())


class Image(OfDataset, Base):
    __tablename__ = "images"
    __table_args__ = (
        UniqueConstraint("dataset_id", "sha256"),
        Index("ix_images_dataset_excluded", "dataset_id", "excluded", "id"),
        Index("ix_images_dataset_review", "dataset_id", "review", "id"),
        Index("ix_images_dataset", "dataset_id", "id"),
        # `split` comes last, so that a label and split are found in the index alone.
        Index("ix_images_dataset_label", "dataset_id", "label", "id", "split"),
        Index("ix_images_dataset_split", "dataset_id", "split", "id"),
        CheckConstraint("split IS NULL OR " + one_of("split", ("train", "valid", "test")), name="split"),
    )
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    sha256: Mapped[str] = mapped_column(ForeignKey("blobs.sha256"), index=True)
    name: Mapped[str] = mapped_column(Text)
    label: Mapped[str | None] = mapped_column(LabelText)
    """One label or, where the data set's images have several, a set as `tsukiji.labels.join_labels` writes it."""
    split: Mapped[str | None] = mapped_column(String(5))
    """Set by the user."""
    drawn_split: Mapped[str | None] = mapped_column(String(5))
    """Drawn by the first training, and kept by later ones."""
    group: Mapped[str | None] = mapped_column("group_name", String(200))
    """Set by the user: pictures of one group always share a split."""
    phash: Mapped[str | None] = mapped_column(String(16))
    """Perceptual hash, 64 bits in hex; null for images older than this column."""
    width: Mapped[int]
    height: Mapped[int]
    bytes: Mapped[int]
    format: Mapped[str] = mapped_column(String(10))
    crop: Mapped[Box | None] = mapped_column(BoxText)
    """The part of the picture in use."""
    excluded: Mapped[bool] = mapped_column(default=False)
    """Kept, but not used for anything."""
    review: Mapped[str | None] = mapped_column(String(8))
    """Review of an image from a corrected prediction: `pending`, `accepted` or `rejected`."""
    dismissed: Mapped[str | None] = mapped_column(LabelText)
    """Kinds of findings that a person dismissed, as `db.curation.open_findings` writes them."""
    created_at: Mapped[datetime] = mapped_column(default=now())


class Revision(OfDataset, Base):
    """An edit of a data set: one field of any number of images. `db.curation.revisions` makes and undoes them."""

    __tablename__ = "revisions"
    __table_args__ = (Index("ix_revisions_dataset", "dataset_id", "id"),)
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    act: Mapped[str] = mapped_column(String(20))
    field: Mapped[str] = mapped_column(String(10))
    description: Mapped[str] = mapped_column(Text)
    images: Mapped[int] = mapped_column(default=0)
    """How many it changed."""
    created_by: Mapped[str | None] = mapped_column(ForeignKey("api_keys.id", ondelete="SET NULL"))
    author: Mapped[str | None] = mapped_column(String(200))
    """The key's name at the time."""
    undoes: Mapped[str | None] = mapped_column(String(40))
    undone_by: Mapped[str | None] = mapped_column(String(40))
    created_at: Mapped[datetime] = mapped_column(default=now())


class RevisionChange(Base):
    """What a revision changed on one image, as text. Deleted together with the image."""

    __tablename__ = "revision_changes"
    __table_args__ = (Index("ix_revision_changes_image", "image_id", "revision_id"),)
    revision_id: Mapped[str] = mapped_column(ForeignKey("revisions.id", ondelete="CASCADE"), primary_key=True)
    image_id: Mapped[str] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"), primary_key=True)
    before: Mapped[str | None] = mapped_column(LabelText)
    after: Mapped[str | None] = mapped_column(LabelText)


class ImageName(Base):
    """Another name or label under which a known picture was added."""

    __tablename__ = "image_names"
    image_id: Mapped[str] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"), primary_key=True)
    name_sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    """Of name and label, which may be too long for a key."""
    name: Mapped[str] = mapped_column(Text)
    label: Mapped[str | None] = mapped_column(LabelText)


class ImageMiniature(Base):
    """A small version of a picture for comparison (`tsukiji.vision.miniature`)."""

    __tablename__ = "image_miniatures"
    image_id: Mapped[str] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"), primary_key=True)
    pixels: Mapped[bytes] = mapped_column(LargeBinary)


class ImageMeasures(Base):
    """Measures of a picture, computed once. The scores are those of `tsukiji.vision.quality`."""

    __tablename__ = "image_measures"
    image_id: Mapped[str] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"), primary_key=True)
    blurry: Mapped[float]
    dark: Mapped[float]
    light: Mapped[float]
    low_information: Mapped[float]
    grayscale: Mapped[float]
    hashes: Mapped[bytes] = mapped_column(LargeBinary)
    """Of the picture and of windows of it, as `tsukiji.curation.analysis.similar` compares them."""
    compared: Mapped[bool] = mapped_column(default=False)
    """Compared with all others already; near-duplicates of later pictures are searched by these hashes."""


class Analysis(OfDataset, Base):
    """The last analysis of a data set; its results are in `findings`."""

    __tablename__ = "analyses"
    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"), primary_key=True)
    job_id: Mapped[str] = mapped_column(String(40))
    images: Mapped[int]
    unavailable: Mapped[list[Any]]
    """Checks that could not run, with reasons."""
    prevalent: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """Kinds of findings that many images have, with counts."""
    finished_at: Mapped[datetime] = mapped_column(default=now())


class Finding(OfDataset, Base):
    """Something about an image that a person should check. Lower scores come first."""

    __tablename__ = "findings"
    __table_args__ = (Index("ix_findings_order", "dataset_id", "kind", "score", "group_id", "image_id"),)
    image_id: Mapped[str] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(24), primary_key=True)
    score: Mapped[float]
    group_id: Mapped[str] = mapped_column(String(40), default="")
    """Images that belong together; empty for a finding about one image."""
    suggestion: Mapped[dict[str, Any] | None]
    label: Mapped[str | None] = mapped_column(LabelText)
    """The label of the image at the time of the analysis."""


class Suggestion(OfDataset, Base):
    """Where the last round of suggestions put an image that had no label then (`training.piles`)."""

    __tablename__ = "suggestions"
    __table_args__ = (Index("ix_suggestions_order", "dataset_id", "pile", "rank", "image_id"),)
    image_id: Mapped[str] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"), primary_key=True)
    pile: Mapped[str] = mapped_column(String(220))
    label: Mapped[str | None] = mapped_column(String(200))
    """The likeliest one, also of a doubtful image; null before there are two labels."""
    score: Mapped[float]
    """Probability of the label; before there are two labels, likeness to the middle of the cluster."""
    rank: Mapped[int]
    """Within the pile."""


class Snapshot(Owned, Base):
    """A frozen list of images; the list itself is the blob of this hash (`tsukiji.curation.snapshots`)."""

    __tablename__ = "snapshots"
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    dataset_id: Mapped[str | None] = mapped_column(ForeignKey("datasets.id", ondelete="SET NULL"), index=True)
    sha256: Mapped[str] = mapped_column(ForeignKey("blobs.sha256"), index=True)
    images: Mapped[int]
    leakage: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime] = mapped_column(default=now())


class Model(Owned, Base):
    __tablename__ = "models"
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(200), index=True)
    dataset_id: Mapped[str | None] = mapped_column(ForeignKey("datasets.id", ondelete="SET NULL"), index=True)
    snapshot_id: Mapped[str | None] = mapped_column(ForeignKey("snapshots.id", ondelete="SET NULL"))
    training_id: Mapped[str | None] = mapped_column(String(40), index=True)
    backbone: Mapped[str] = mapped_column(String(60))
    kind: Mapped[str] = mapped_column(String(12), default="single_label")
    label_names: Mapped[list[str]]
    recipe: Mapped[dict[str, Any]]
    accuracy: Mapped[float | None]
    weights_source: Mapped[str | None] = mapped_column(Text)
    imported_from: Mapped[str | None] = mapped_column(String(40))
    """The id in its package, if trained elsewhere."""
    versions: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """Versions of the programs that made it, by name."""
    parity: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """Measured by workers on its own held-out images: its results in lower precisions, by precision and device;
    under `heatmap`, whether its heatmaps beat random ones."""
    held_out: Mapped[dict[str, Any] | None] = mapped_column(deferred=True)
    """The `tsukiji.vision.drift.HeldOut` of its package; null in models of earlier versions."""
    bytes: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(default=now())


class ModelFile(Base):
    __tablename__ = "model_files"
    model_id: Mapped[str] = mapped_column(ForeignKey("models.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    sha256: Mapped[str] = mapped_column(ForeignKey("blobs.sha256"), index=True)
    bytes: Mapped[int] = mapped_column(BigInteger)


class ModelExport(Base):
    """A model in another format; `facts` are measurements of the conversion."""

    __tablename__ = "model_exports"
    model_id: Mapped[str] = mapped_column(ForeignKey("models.id", ondelete="CASCADE"), primary_key=True)
    format: Mapped[str] = mapped_column(String(20), primary_key=True)
    sha256: Mapped[str] = mapped_column(ForeignKey("blobs.sha256"), index=True)
    bytes: Mapped[int] = mapped_column(BigInteger)
    facts: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(default=now())


class Alias(Owned, Base):
    __tablename__ = "aliases"
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), primary_key=True, default=current_project)
    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    model_id: Mapped[str] = mapped_column(ForeignKey("models.id"), index=True)
    updated_at: Mapped[datetime] = mapped_column(default=now(), onupdate=now())


class AliasMove(Owned, Base):
    """An alias's history: the newest row is its present model, the one before is the target of a roll-back."""

    __tablename__ = "alias_moves"
    __table_args__ = (Index("ix_alias_moves_name", "project_id", "name", "id"),)
    id: Mapped[int] = mapped_column(Identity, primary_key=True, autoincrement=True)
    name: Mapped[str] = mapped_column(String(200))
    model_id: Mapped[str | None] = mapped_column(String(40))
    """Null when the alias was deleted."""
    moved_by: Mapped[str | None] = mapped_column(String(40))
    at: Mapped[datetime] = mapped_column(default=now())


class Leased:
    """Columns of work that one worker at a time holds: a job, or a chunk of one (`db.jobs.leases`).

    `attempt` is the fencing token: a worker's write counts only while its attempt is the newest, and holds the lease.
    """

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    status: Mapped[str] = mapped_column(String(12), default=JobStatus.QUEUED)
    attempt: Mapped[int] = mapped_column(default=0)
    max_attempts: Mapped[int] = mapped_column(default=3)
    lease_owner: Mapped[str | None] = mapped_column(String(120))
    lease_expires_at: Mapped[datetime | None]
    rests_until: Mapped[datetime | None]
    """Back-off after a temporary error: no worker claims it earlier."""

    @property
    def fence(self) -> tuple[ColumnElement[bool], ...]:
        """The conditions under which this attempt may write: it was not given back, recovered or ended."""
        table = type(self)
        return (table.id == self.id, table.attempt == self.attempt, table.lease_owner.is_not(None))


class Job(Leased, Owned, Base):
    """A job of any kind."""

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint(one_of("status", JobStatus), name="status"),
        CheckConstraint(one_of("kind", JobKind), name="kind"),
        Index("ix_jobs_kind_created", "kind", "created_at", "id"),
        Index("ix_jobs_status_lease", "status", "lease_expires_at"),
        Index("ix_jobs_turn", "turn"),
        Index("ix_jobs_project", "project_id", "age"),
    )
    age: Mapped[str] = mapped_column(String(26), unique=True)
    """The id without its prefix: sorts jobs of all kinds by creation time."""
    kind: Mapped[str] = mapped_column(String(12))
    phase: Mapped[str | None] = mapped_column(String(40))
    priority: Mapped[int] = mapped_column(default=0)
    request: Mapped[dict[str, Any]]
    result: Mapped[dict[str, Any] | None]
    error: Mapped[dict[str, Any] | None]
    meta: Mapped[dict[str, Any]] = mapped_column("metadata", default=dict)

    dataset_id: Mapped[str | None] = mapped_column(ForeignKey("datasets.id", ondelete="SET NULL"), index=True)
    model_id: Mapped[str | None] = mapped_column(ForeignKey("models.id", ondelete="SET NULL"), index=True)
    snapshot_id: Mapped[str | None] = mapped_column(ForeignKey("snapshots.id", ondelete="SET NULL"))
    created_by: Mapped[str | None] = mapped_column(ForeignKey("api_keys.id", ondelete="SET NULL"))
    retry_of: Mapped[str | None] = mapped_column(String(40))
    traceparent: Mapped[str | None] = mapped_column(String(55))
    """The trace of the request that created it, where traces are exported."""
    upload_sha256: Mapped[str | None] = mapped_column(ForeignKey("blobs.sha256"), index=True)
    table_sha256: Mapped[str | None] = mapped_column(ForeignKey("blobs.sha256"), index=True)
    """A table about an import's pictures, sent with them or alone."""
    checkpoint_sha256: Mapped[str | None] = mapped_column(ForeignKey("blobs.sha256"), index=True)

    deadline_at: Mapped[datetime | None] = mapped_column(index=True)
    cancel_requested_at: Mapped[datetime | None]
    finish_requested_at: Mapped[datetime | None]

    unit: Mapped[str] = mapped_column(String(20), default="items")
    completed: Mapped[float] = mapped_column(Float, default=0)
    total: Mapped[float] = mapped_column(Float, default=0)
    eta_seconds: Mapped[float | None]
    detail: Mapped[dict[str, Any] | None]
    """Details of the progress: a training's epoch, batch and losses."""
    engine: Mapped[dict[str, Any] | None]
    """The execution plan of the last worker that classified for it."""
    planned: Mapped[bool] = mapped_column(default=False)
    """All items and chunks of this batch exist."""
    turn: Mapped[int] = mapped_column(BigInteger, default=0)
    """When a chunk of this batch was last claimed, counted in chunks of all batches: the lowest goes next."""
    items_total: Mapped[int] = mapped_column(default=0)
    items_succeeded: Mapped[int] = mapped_column(default=0)
    items_errored: Mapped[int] = mapped_column(default=0)

    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(default=now())
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    retention_days: Mapped[float | None]
    """How long a batch keeps results and pictures after its end: 0 forever, null as the settings say then."""
    results_expire_at: Mapped[datetime | None] = mapped_column(index=True)
    """When the dispatcher deletes them; null once they are deleted."""
    results_deleted_at: Mapped[datetime | None]
    """From then on they cannot be read; their rows may remain for a moment."""


class JobEvent(Base):
    """The append-only history: who changed the job's state, when, to what, in which attempt."""

    __tablename__ = "job_events"
    __table_args__ = (Index("ix_job_events_job", "job_id", "id"),)
    id: Mapped[int] = mapped_column(Identity, primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    event: Mapped[str] = mapped_column(String(12))
    at: Mapped[datetime] = mapped_column(default=now())
    attempt: Mapped[int] = mapped_column(default=0)
    worker: Mapped[str | None] = mapped_column(String(120))
    data: Mapped[dict[str, Any]] = mapped_column(default=dict)


class ImportItem(Base):
    """The outcome of one file of an import."""

    __tablename__ = "import_items"
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    verdict: Mapped[str] = mapped_column(String(10))
    label: Mapped[str | None] = mapped_column(LabelText)
    image_id: Mapped[str | None] = mapped_column(String(40))
    error: Mapped[dict[str, Any] | None]


class Chunk(Leased, Base):
    """A slice of a batch: items `first_seq` to `last_seq`, both inclusive."""

    __tablename__ = "chunks"
    __table_args__ = (
        CheckConstraint(one_of("status", JobStatus), name="status"),
        Index("ix_chunks_job_status", "job_id", "status", "first_seq"),
        Index("ix_chunks_status_lease", "status", "lease_expires_at"),
    )
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    first_seq: Mapped[int]
    last_seq: Mapped[int]


class BatchItem(Base):
    """One image to classify. `error` is set if it is known in advance that it cannot be."""

    __tablename__ = "batch_items"
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    custom_id: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str | None] = mapped_column(ForeignKey("blobs.sha256"), index=True)
    crop: Mapped[Box | None] = mapped_column(BoxText)
    """The part of the picture to classify."""
    true_label: Mapped[str | None] = mapped_column(LabelText)
    error: Mapped[dict[str, Any] | None]


class Prediction(Base):
    """One image's result: a label with its score, or an error. `probabilities` is read by `db.probabilities`."""

    __tablename__ = "predictions"
    __table_args__ = (
        # The index covers all filters and orders, so pages are chosen without reading the wide rows.
        Index("ix_predictions_score", "job_id", "score", "seq", "known_score"),
        Index("ix_predictions_label", "job_id", "label", "score", "seq", "known_score"),
    )
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    label: Mapped[str | None] = mapped_column(String(200))
    score: Mapped[float | None]
    known_score: Mapped[float | None]
    probabilities: Mapped[bytes | None] = mapped_column(LargeBinary)
    labels: Mapped[str | None] = mapped_column(LabelText)
    """The set predicted by a multi-label model, as `tsukiji.labels.join_labels` writes it."""
    tags: Mapped[list[Any] | None]
    """Tags with their places, if requested."""
    heatmap: Mapped[dict[str, Any] | None]
    """Explanation of the prediction, if requested."""
    width: Mapped[int | None]
    height: Mapped[int | None]
    error: Mapped[dict[str, Any] | None]


class BatchDrift(Base):
    """The pictures of a batch as counts, and the test of them against those that the model's training held out.

    Kept when the batch's results are deleted: no picture can be told from it.
    """

    __tablename__ = "batch_drifts"
    __table_args__ = (Index("ix_batch_drifts_model", "model_id", "job_id"),)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    model_id: Mapped[str] = mapped_column(String(40))
    """No foreign key: a worker holds the job's row, which the deletion of the model waits for."""
    distribution: Mapped[bytes] = mapped_column(LargeBinary)
    """A `tsukiji.vision.drift.Distribution`."""
    strange: Mapped[int | None]
    """Null until the batch has succeeded, and without a reference; `expected` and `p_value` too."""
    expected: Mapped[float | None]
    p_value: Mapped[float | None]
    exceeded: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(default=now())


class Evaluation(Base):
    __tablename__ = "evaluations"
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    model_id: Mapped[str] = mapped_column(ForeignKey("models.id", ondelete="CASCADE"), index=True)
    dataset_id: Mapped[str | None] = mapped_column(ForeignKey("datasets.id", ondelete="SET NULL"))
    snapshot_id: Mapped[str | None] = mapped_column(ForeignKey("snapshots.id", ondelete="SET NULL"))
    split: Mapped[str] = mapped_column(String(5))
    """`all`: the whole data set."""
    metrics: Mapped[dict[str, Any]]
    errored: Mapped[int] = mapped_column(default=0)
    """Images that could not be read."""
    seen_in_training: Mapped[int] = mapped_column(default=0)
    """Images that the model was trained on."""
    created_at: Mapped[datetime] = mapped_column(default=now())


class EvaluationItem(Base):
    __tablename__ = "evaluation_items"
    __table_args__ = (
        Index("ix_evaluation_items_cell", "evaluation_id", "true_label", "predicted_label", "seq"),
        Index("ix_evaluation_items_content", "evaluation_id", "sha256"),
    )
    evaluation_id: Mapped[str] = mapped_column(ForeignKey("evaluations.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    image_id: Mapped[str | None] = mapped_column(String(40))
    name: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str] = mapped_column(String(64))
    true_label: Mapped[str] = mapped_column(LabelText)
    predicted_label: Mapped[str] = mapped_column(LabelText)
    score: Mapped[float]
    loss: Mapped[float]
    known_score: Mapped[float | None]
    probabilities: Mapped[bytes] = mapped_column(LargeBinary)


class LabelSuspect(Base):
    """An image whose label may be wrong, according to a model's training; rank 1 is the most suspicious."""

    __tablename__ = "label_suspects"
    model_id: Mapped[str] = mapped_column(ForeignKey("models.id", ondelete="CASCADE"), primary_key=True)
    rank: Mapped[int] = mapped_column(primary_key=True)
    image_id: Mapped[str | None] = mapped_column(String(40))
    name: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str] = mapped_column(String(64))
    split: Mapped[str] = mapped_column(String(5))
    label: Mapped[str] = mapped_column(LabelText)
    suggested_label: Mapped[str] = mapped_column(LabelText)
    score: Mapped[float]


class IdempotencyKey(Base):
    """`scope` hashes the client's key with the caller and endpoint."""

    __tablename__ = "idempotency_keys"
    scope: Mapped[str] = mapped_column(String(64), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    resource_id: Mapped[str] = mapped_column(String(40))
    created_at: Mapped[datetime] = mapped_column(default=now(), index=True)


class AuditEntry(Base):
    """One act: who did what, when, from where. Rows are only added (`db.audit`), and deleted by age."""

    __tablename__ = "audit_entries"
    __table_args__ = (Index("ix_audit_entries_project", "project_id", "id"),)
    id: Mapped[int] = mapped_column(Identity, primary_key=True, autoincrement=True)
    project_id: Mapped[str] = mapped_column(String(40), default=current_project)
    """It remains when the project is deleted."""
    at: Mapped[datetime] = mapped_column(default=now(), index=True)
    key_id: Mapped[str | None] = mapped_column(String(40))
    """Null for commands on the server."""
    name: Mapped[str] = mapped_column(String(200))
    """The key's name at the time, or the user's."""
    act: Mapped[str] = mapped_column(String(60))
    subject: Mapped[str | None] = mapped_column(String(200))
    """The id of what was created."""
    address: Mapped[str] = mapped_column(Text)
    client: Mapped[str | None] = mapped_column(String(100))
    request_id: Mapped[str | None] = mapped_column(String(128))


class QueueTurn(Base):
    """When work of a key or project was last taken from a queue, counted in work of that queue: the lowest is next."""

    __tablename__ = "queue_turns"
    queue: Mapped[str] = mapped_column(String(20), primary_key=True)
    key_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    """Or the id of the project."""
    turn: Mapped[int] = mapped_column(BigInteger)


class WorkerSeen(Base):
    """A worker process's last heartbeat."""

    __tablename__ = "workers_seen"
    worker: Mapped[str] = mapped_column(String(120), primary_key=True)
    queue: Mapped[str] = mapped_column(String(20))
    device: Mapped[str | None] = mapped_column(String(60))
    lane_host: Mapped[str | None] = mapped_column(String(255))
    lane_port: Mapped[int | None]
    lane_secret: Mapped[str | None] = mapped_column(String(64))
    """Authenticates worker and API to each other."""
    weights: Mapped[list[str] | None] = mapped_column(JSON)
    """Pretrained weights that it can load; null for workers that do not train, or do not say."""
    engines: Mapped[list[dict[str, Any]] | None] = mapped_column(JSON)
    """`EngineSpeed`s of its machine, fastest first; null for workers that embed no pictures."""
    seen_at: Mapped[datetime] = mapped_column(default=now())


class Webhook(Owned, Base):
    """An address that is told of events. Its secret signs what is sent, so it is stored itself, not a hash of it."""

    __tablename__ = "webhooks"
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    url: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(String(200), default="")
    events: Mapped[list[str]]
    """Names of events, or patterns, as `db.webhooks.wants` reads them."""
    secret: Mapped[str] = mapped_column(String(100))
    old_secret: Mapped[str | None] = mapped_column(String(100))
    """Signs as well until `old_secret_expires_at`, so that receivers can change to the new one in between."""
    old_secret_expires_at: Mapped[datetime | None]
    created_by: Mapped[str | None] = mapped_column(String(40))
    created_at: Mapped[datetime] = mapped_column(default=now())
    failing_since: Mapped[datetime | None]
    """The first failure since the last success."""
    disabled_at: Mapped[datetime | None]
    disabled_because: Mapped[str | None] = mapped_column(String(10))
    """`asked`, `failing` or `gone`."""


class WebhookDelivery(Base):
    """An event for one webhook: the outbox. It is inserted in the transaction that the event tells of."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        Index("ix_webhook_deliveries_due", "webhook_id", "status", "due_at"),
        Index("ix_webhook_deliveries_webhook", "webhook_id", "id"),
        Index("ix_webhook_deliveries_ended", "ended_at"),
        CheckConstraint(one_of("status", ("pending", "delivered", "failed")), name="status"),
    )
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    """Sent as `webhook-id`: the same at every attempt."""
    webhook_id: Mapped[str] = mapped_column(ForeignKey("webhooks.id", ondelete="CASCADE"))
    event: Mapped[str] = mapped_column(String(60))
    data: Mapped[dict[str, Any]]
    status: Mapped[str] = mapped_column(String(10), default="pending")
    attempt: Mapped[int] = mapped_column(default=0)
    """Counts claims, and fences the writing of their outcome."""
    failures: Mapped[int] = mapped_column(default=0)
    """Attempts that failed, since the event or the last replay."""
    due_at: Mapped[datetime] = mapped_column(default=now())
    response_status: Mapped[int | None]
    """HTTP status of the last attempt; null without an answer."""
    error: Mapped[str | None] = mapped_column(Text)
    """Why the last attempt failed."""
    created_at: Mapped[datetime] = mapped_column(default=now())
    ended_at: Mapped[datetime | None]


class Alarm(Base):
    """A state that was told of when it began, and will be when it ends; no row: all is well."""

    __tablename__ = "alarms"
    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    raised_at: Mapped[datetime] = mapped_column(default=now())
