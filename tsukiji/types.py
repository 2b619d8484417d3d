"""The words on the wire: what `/v1` takes and answers, shared by the service and its client.

Answers are read with unknown fields kept, so that an older client goes on working; requests refuse unknown fields, so
that a misspelt one is not silently without effect. Times are RFC 3339 in UTC.
"""

from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

T = TypeVar("T")

Label = Annotated[str, Field(min_length=1, max_length=200, examples=["tuna"])]
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^/\x00-\x1f]+$", examples=["sushi"])]
Split = Literal["train", "valid", "test"]
Metadata = Annotated[
    dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]], Field(max_length=16)
]


class Answer(BaseModel):
    """What the service sends."""

    model_config = ConfigDict(extra="allow")


class Request(BaseModel):
    """What the service takes."""

    model_config = ConfigDict(extra="forbid")


class Page(Answer, Generic[T]):
    """One page of a list; `next_cursor` fetches the next, null means the end."""

    object: Literal["list"] = "list"
    data: list[T]
    next_cursor: str | None = None
    has_more: bool = False


class Problem(Answer):
    """An error: RFC 9457 `application/problem+json` over HTTP, the same members inside jobs and items."""

    type: str | None = None
    code: str
    title: str
    detail: str = ""
    hint: str | None = None
    retriable: bool = False
    status: int | None = None
    request_id: str | None = None
    errors: list[dict[str, Any]] | None = None


# --- data sets -------------------------------------------------------------------------------------------------------


class DatasetCreate(Request):
    name: Name
    description: str = Field("", max_length=2000)


class ClassCount(Answer):
    label: str | None
    images: int


class Dataset(Answer):
    object: Literal["dataset"] = "dataset"
    id: str
    name: str
    description: str = ""
    images: int = 0
    classes: list[ClassCount] = []
    """Images per label, most first; label null counts the unlabelled."""
    splits: dict[str, int] = {}
    """Images per split given by the user; `unassigned` are split when a training starts."""
    created_at: datetime


class Image(Answer):
    object: Literal["image"] = "image"
    id: str
    dataset_id: str
    name: str
    label: str | None
    split: Split | None
    sha256: str
    width: int
    height: int
    bytes: int
    format: str
    created_at: datetime
    links: dict[str, str] = {}


class FileVerdict(Answer):
    """What became of one file that was sent."""

    name: str
    verdict: Literal["accepted", "duplicate", "rejected"]
    label: str | None = None
    image_id: str | None = None
    """The image it became, or the one that it is a duplicate of."""
    error: Problem | None = None


class UploadResult(Answer):
    object: Literal["upload_result"] = "upload_result"
    accepted: int
    duplicates: int
    rejected: int
    files: list[FileVerdict]


# --- jobs ------------------------------------------------------------------------------------------------------------


class Progress(Answer):
    fraction: float
    unit: str
    completed: float
    total: float
    eta_seconds: float | None = None


class ItemCounts(Answer):
    """Of the items of a job: their sum is `total` at any time."""

    total: int
    queued: int
    succeeded: int
    errored: int
    cancelled: int = 0
    expired: int = 0


class Job(Answer):
    """The envelope of all long work. Test `done`, not the list of statuses: that list may grow."""

    object: str
    id: str
    status: str
    done: bool
    phase: str | None = None
    progress: Progress
    counts: ItemCounts | None = None
    attempt: int = 0
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    deadline_at: datetime | None = None
    """What is not done by then is given up; a training or import has one from its first start on."""
    cancel_requested_at: datetime | None = None
    created_by: str | None = None
    metadata: dict[str, str] = {}
    retry_of: str | None = None
    error: Problem | None = None
    result: dict[str, Any] | None = None
    links: dict[str, str] = {}
    request: dict[str, Any] = {}
    """What was asked for, with every default filled in."""


class JobEvent(Answer):
    """One line of a job's history, and one server-sent event."""

    id: int
    event: Literal["status", "progress", "metric", "log", "done"]
    at: datetime
    attempt: int = 0
    worker: str | None = None
    data: dict[str, Any] = {}


class EpochMetrics(Answer):
    """One finished epoch of a training; losses are mean cross-entropy in nats, accuracy a fraction of 1."""

    epoch: int
    train_loss: float
    valid_loss: float
    accuracy: float
    seconds: float


class Recipe(Request):
    """How to train. The defaults are those of the notebook that Tsukiji grew from."""

    preset: Literal["standard"] = Field(
        "standard", description="`standard`: frozen body, new head, one-cycle, fastai's default augmentation."
    )
    backbone: Literal["resnet18", "resnet34", "resnet50"] = "resnet34"
    pretrained: bool = Field(
        True, description="Start from ImageNet weights; false asks for random weights, all layers trained."
    )
    epochs: int = Field(10, ge=1, le=1000)
    image_size: int = Field(224, ge=32, le=1024, description="Pixels on each side of what the network sees.")
    batch_size: int = Field(64, ge=2, le=1024)
    learning_rate: float = Field(1e-3, gt=0, le=10, description="Peak of the one-cycle schedule.")
    valid_fraction: float = Field(
        0.3, gt=0, lt=1, description="Held out of each class, for the images that have no split."
    )
    seed: int = Field(42, ge=0, lt=2**31)
    flip: bool = Field(True, description="May pictures be mirrored in training? Say no for text, digits and signs.")


class TrainingCreate(Request):
    dataset: str = Field(description="Id or name of a data set.", examples=["sushi"])
    recipe: Recipe = Recipe()
    name: Name | None = Field(None, description="The model's name; the data set's by default.")
    metadata: Metadata = {}


# --- models and evaluations ------------------------------------------------------------------------------------------


class Model(Answer):
    object: Literal["model"] = "model"
    id: str
    name: str
    label_names: list[str]
    backbone: str
    image_size: int
    pretrained: bool
    accuracy: float | None = None
    """On its own validation images."""
    aliases: list[str] = []
    dataset_id: str | None = None
    snapshot_id: str | None = None
    training_id: str | None = None
    evaluation_id: str | None = None
    recipe: dict[str, Any] = {}
    bytes: int = 0
    created_at: datetime
    links: dict[str, str] = {}


class AliasPut(Request):
    model: str = Field(description="Id, alias or name of a model.")


class Alias(Answer):
    object: Literal["alias"] = "alias"
    name: str
    model_id: str
    updated_at: datetime


class ClassMetrics(Answer):
    """Fractions of 1; `support` counts the images whose true label this is."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int


class Metrics(Answer):
    """What an evaluation found. `confusion[i][j]` counts images of `label_names[i]` taken for `label_names[j]`."""

    accuracy: float
    loss: float
    images: int
    label_names: list[str]
    per_class: list[ClassMetrics]
    confusion: list[list[int]]


class Evaluation(Answer):
    object: Literal["evaluation"] = "evaluation"
    id: str
    model_id: str
    dataset_id: str | None
    snapshot_id: str | None
    split: Split
    metrics: Metrics
    created_at: datetime
    links: dict[str, str] = {}


class EvaluationItem(Answer):
    """One held-out image: what it is, what it was taken for, and how much that costs (cross-entropy, nats)."""

    seq: int
    image_id: str | None
    name: str
    sha256: str
    true_label: str
    predicted_label: str
    score: float
    loss: float
    links: dict[str, str] = {}


# --- batches and predictions -----------------------------------------------------------------------------------------


class BatchInput(Request):
    dataset: str = Field(description="Id or name of a data set.")
    split: Split | None = Field(None, description="Only these; a split as the model's training saw it.")


class BatchOptions(Request):
    """What a batch and a prediction share."""

    model: str = Field(description="Id, alias or name of a model.", examples=["production"])
    top_k: int = Field(3, ge=1, le=100, description="How many labels each result lists.")
    threshold: float = Field(0.0, ge=0, le=1, description="Below this probability the decision is null.")
    deadline_seconds: int | None = Field(
        None, ge=1, le=30 * 86400, description="Give up what is not classified by then; the service's default if null."
    )
    metadata: Metadata = {}


class BatchCreate(BatchOptions):
    input: BatchInput


class Score(Answer):
    label: str
    score: float


class ImageInfo(Answer):
    sha256: str | None = None
    width: int | None = None
    height: int | None = None


class Prediction(Answer):
    """One image's result; `label` and `score` stand even where the decision is null ("none of these")."""

    seq: int
    custom_id: str
    status: Literal["queued", "succeeded", "errored", "cancelled", "expired"]
    label: str | None = None
    score: float | None = None
    decision: str | None = None
    abstained: bool = False
    abstain_reason: str | None = None
    scores: list[Score] = []
    true_label: str | None = None
    """The label the data set holds for it, where the batch came from one."""
    image: ImageInfo = ImageInfo()
    model: str | None = None
    error: Problem | None = None


# --- the service itself ----------------------------------------------------------------------------------------------


class WorkerInfo(Answer):
    queue: str
    worker: str
    device: str | None = None
    seen_at: datetime


class Info(Answer):
    version: str
    api_version: str = "v1"
    features: list[str] = []
    workers: list[WorkerInfo] = []
