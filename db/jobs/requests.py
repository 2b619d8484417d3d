"""Requests of jobs: a type for each kind, validated when a row is written and when it is read.

Members missing from rows of older versions have defaults.
"""

from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from db.models import Job
from tsukiji.jobs import JobKind
from tsukiji.types import ImportOptions, Kind, Recipe, Split
from tsukiji.types.batches import Runner


class FilesInput(BaseModel):
    """Files sent with the request; their items exist already."""

    type: Literal["files"] = "files"


class ArchiveInput(BaseModel):
    type: Literal["archive"] = "archive"
    filename: str | None = None
    upload: str | None = None
    encoding: str | None = None


class ManifestInput(BaseModel):
    type: Literal["manifest"] = "manifest"
    filename: str | None = None
    upload: str | None = None


class SourceInput(BaseModel):
    """An allowed folder or S3 prefix."""

    type: Literal["source"] = "source"
    source: str


class DatasetInput(BaseModel):
    type: Literal["dataset"] = "dataset"
    dataset: str
    split: Split | None = None


class Output(BaseModel):
    """Results as Parquet parts, one for each chunk; the items are no rows either."""

    to: Literal["parquet"] = "parquet"
    url: str | None = None
    """An allowed folder or S3 prefix; null: the service's own store."""
    runner: Runner = "service"
    """`ray`: a program on the user's cluster classifies and reports."""


Input = FilesInput | ArchiveInput | ManifestInput | SourceInput | DatasetInput


class JobRequest(BaseModel):
    model_config = ConfigDict(frozen=True, protected_namespaces=())

    @classmethod
    def of(cls, job: Job) -> Self:
        """Return a job's request.

        Raises:
            pydantic.ValidationError: the job is of another kind, or its row is damaged.
        """
        return cls.model_validate(job.request)

    def to_row(self) -> dict[str, Any]:
        """Return the members that were set, as JSON."""
        return self.model_dump(mode="json", exclude_unset=True)


class TrainingRequest(JobRequest):
    dataset: str | None = None
    dataset_name: str | None = None
    kind: Kind = "single_label"
    """Of the data set, when the training was submitted."""
    recipe: Recipe
    name: str
    """Of the model."""
    resplit: bool = False
    """Draw all splits again instead of keeping those of earlier trainings."""
    warnings: list[dict[str, Any]] = []
    """Warnings known at submission, from label counts alone."""
    backbone_choice: str | None = None
    """Why `auto` is the recipe's backbone."""
    unknown: str | None = None
    unknown_snapshot: str | None = None
    """Images of other things, to measure "none of these"."""

    def to_row(self) -> dict[str, Any]:
        """Return the members that were set, and the whole recipe."""
        return super().to_row() | {"recipe": self.recipe.model_dump(mode="json")}


class ClassificationRequest(JobRequest):
    """Shared by batches, predictions and evaluations."""

    model: str
    model_name: str | None = None
    kind: Kind = "single_label"
    """Of the model."""
    label_names: list[str]


class BatchRequest(ClassificationRequest):
    top_k: int = 3
    threshold: float = 0.0
    min_known: float | None = None
    target_error: float | None = None
    """What `threshold` was derived from."""
    confidence: float = 0.95
    prediction_set: float | None = None
    """The coverage of prediction sets."""
    set_limit: float | None = None
    """Labels join a set up to this limit; null: all do."""
    retention_days: float | None = None
    tags: bool = False
    heatmap: str | None = None
    """A label, or `LIKELIEST`."""
    input: Annotated[Input, Field(discriminator="type")] = FilesInput()
    output: Output | None = None
    """Null: rows."""


class EvaluationRequest(ClassificationRequest):
    input: DatasetInput


class ImportRequest(JobRequest):
    dataset: str
    source: str | None = None
    sample: bool = False
    """The pictures are those of the sample data set."""
    filename: str | None = None
    """Of the archive."""
    table: str | None = None
    options: ImportOptions = ImportOptions()

    def to_row(self) -> dict[str, Any]:
        """Return the members that were set, and options that differ from the defaults."""
        options = self.options.model_dump(mode="json", exclude_defaults=True)
        return self.model_dump(mode="json", exclude={"options"}, exclude_unset=True) | (
            {"options": options} if options else {}
        )


class ExportRequest(JobRequest):
    model: str
    model_name: str | None = None
    format: str


class FeaturesRequest(JobRequest):
    """Shared by analyses and suggestions."""

    dataset: str
    backbone: str
    image_size: int = 224


REQUEST_OF: Final[dict[JobKind, type[JobRequest]]] = {
    JobKind.TRAINING: TrainingRequest,
    JobKind.BATCH: BatchRequest,
    JobKind.PREDICTION: BatchRequest,
    JobKind.IMPORT: ImportRequest,
    JobKind.EVALUATION: EvaluationRequest,
    JobKind.EXPORT: ExportRequest,
    JobKind.ANALYSIS: FeaturesRequest,
    JobKind.SUGGESTION: FeaturesRequest,
}
