"""Batches and predictions: requests, results and summaries."""

from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from tsukiji.types.base import Answer, Box, Encoding, Label, Metadata, Problem, Request, Split, Url, check_one
from tsukiji.types.drift import BatchDrift
from tsukiji.types.jobs import ItemCounts

MIN_KNOWN: Final = 0.05
"""Default threshold of "none of these": it keeps 95% of held-out pictures of a model's classes."""

LIKELIEST: Final = "top"
"""Requests a heatmap of each picture's likeliest label."""


def check_coverage(value: float) -> float:
    """Raise ValueError if models have no limit for it."""
    if value not in COVERAGES:
        raise ValueError(f"must be one of {', '.join(map(str, COVERAGES))}")
    return value


COVERAGES: Final = (0.8, 0.9, 0.95, 0.99)
"""Of prediction sets."""
Coverage = Annotated[float, AfterValidator(check_coverage)]


class BatchInput(Request):
    """The images to classify: exactly one member, plus `split` with `dataset`, or `encoding` with `upload`."""

    dataset: str | None = Field(None, description="Data set id or name.")
    split: Split | None = Field(None, description="Only images of this split, as it was in the model's training.")
    upload: str | None = Field(None, description="Id of a completed upload: a zip or tar of pictures.")
    manifest: str | None = Field(None, description="Id of a completed upload: one line of JSON per image.")
    source: Url | None = Field(None, description="A folder or S3 prefix that the service may read.")
    encoding: Encoding | None = Field(
        None,
        description="Encoding of the names in an archive that does not declare it, such as cp932; guessed if null.",
    )

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        check_one(self, "dataset", "upload", "manifest", "source")
        if self.split and not self.dataset:
            raise ValueError("`split` requires `dataset`")
        if self.encoding and not self.upload:
            raise ValueError("`encoding` requires `upload`")
        return self


class ManifestLine(Request):
    """One line of a manifest."""

    custom_id: str | None = Field(
        None,
        min_length=1,
        max_length=1000,
        pattern=r"^[^\x00-\x1f\x7f]+$",
        description="Identifies the result; `image` if null. Unique in a manifest.",
    )
    image: str = Field(
        min_length=1,
        max_length=4000,
        pattern=r"^[^\x00-\x1f\x7f]+$",
        description="Id of an image of a data set; `sha256:...` of bytes that the service has; or the URL of a file "
        "in a folder or S3 prefix that the service may read, or on an allowed web host.",
        examples=["img_01kb0m9x2v8q4d6w0z3y7t5r1n", "s3://photos/2026/1.jpg"],
    )
    true_label: Label | None = Field(None, description="Returned with the result; the image's own label if null.")

    @model_validator(mode="before")
    @classmethod
    def _as_listed(cls, line: Any) -> Any:
        """Accept an image as the service lists it: an image, a finding, a suspect, a result."""
        match line:
            case {"image": str()}:
                return line
            case {"object": "image", "id": str(image)} | {"image_id": str(image)}:
                return {"image": image}
        return line


class BatchOptions(Request):
    """What a batch and a prediction share."""

    model: str = Field(description="Model id, alias or name.", examples=["production"])
    top_k: int = Field(3, ge=1, le=100, description="How many labels each result lists.")
    threshold: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Below this probability the decision is null. For a multi-label model: an image has all labels "
        "that reach it; 0 uses the model's own thresholds, one for each label.",
    )
    min_known: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Below this known score the decision is null: none of these. If null, the model's own, which "
        "keeps 95% of held-out images of its classes; 0 never abstains.",
    )
    target_error: float | None = Field(
        None,
        gt=0,
        le=0.5,
        description="Decide as much as can be decided with at most this part of it wrong, and leave the rest to a "
        "person: a threshold is derived from the model's held-out images. Excludes `threshold` and `min_known`.",
    )
    confidence: float = Field(0.95, ge=0.5, le=0.999, description="With which `target_error` is kept.")
    prediction_set: Coverage | None = Field(
        None,
        description="Also return a set of labels for each picture that has the true one with this probability.",
    )
    tags: bool = Field(
        False,
        description="Also locate labels in each picture. This is weak localisation by a model trained on whole "
        "pictures, not a trained detector: boxes are rough, and small objects are missed.",
    )
    heatmap: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="Also make a heatmap for a label: `top`, the likeliest of each picture, or the name of one. "
        "Withheld, with the reason, if the model's heatmaps fail their validation.",
    )
    deadline_seconds: int | None = Field(
        None, ge=1, le=30 * 86400, description="Time limit; unfinished images expire. The service's default if null."
    )
    retention_days: float | None = Field(
        None,
        ge=0,
        le=36500,
        description="Delete results and pictures this long after the end; 0 keeps them, the service's default if null.",
    )
    priority: int = Field(
        0,
        ge=0,
        le=4,
        description="Higher runs first; batches with the same priority take turns. Predictions run before all batches.",
    )
    metadata: Metadata = {}

    @model_validator(mode="after")
    def _has_one_threshold(self) -> Self:
        if self.target_error is not None and (self.threshold or self.min_known is not None):
            raise ValueError("`target_error` chooses the threshold: leave out `threshold` and `min_known`")
        return self


class BatchOutput(Request):
    """Results as Parquet files, one for each chunk of the batch: for millions of images, which are no rows then."""

    to: Literal["parquet"]
    url: Url | None = Field(
        None, description="Folder or S3 prefix of your own that the service may write to; its own store if null."
    )


Runner = Literal["service", "ray"]


class BatchCreate(BatchOptions):
    input: BatchInput
    output: BatchOutput | None = Field(
        None, description="Where results go: `parquet` files for millions of images; rows of the database if null."
    )
    runner: Runner = Field(
        "service",
        description="`ray`: a program on your own cluster classifies the images of the source and reports "
        "(command `batch-ray`); the service keeps the job and reads the results.",
    )

    @model_validator(mode="after")
    def _has_what_its_runner_needs(self) -> Self:
        if self.runner == "ray":
            if self.input.source is None or self.output is None or self.output.url is None:
                raise ValueError("`runner: ray` requires `input.source`, and `output` with a `url`")
            if self.tags or self.heatmap:
                raise ValueError("`runner: ray` makes no tags and no heatmaps")
        return self


class BodyOptions(BatchOptions):
    """Query parameters of a batch whose archive or manifest is the raw body."""

    filename: str | None = Field(None, description="For display; not used as a path.")
    encoding: Encoding | None = Field(None, description="Encoding of the names in an archive; guessed if null.")


class Score(Answer):
    label: str
    score: float


class ImageInfo(Answer):
    sha256: str | None = None
    width: int | None = None
    height: int | None = None


class Tag(Answer):
    """A label that was found in a part of a picture."""

    label: str
    score: float
    """The label's probability in this part."""
    known_score: float | None = None
    """Known score of this part; null if the model has none."""
    box: Box
    """Left, upper, right, lower in pixels of the upright picture. Rough: the model never saw a box."""


class Heatmap(Answer):
    """Evidence for a label by position: the values, or the reason why they are withheld."""

    label: str
    method: Literal["grad_cam", "occlusion"] | None = None
    width: int | None = None
    height: int | None = None
    values: list[list[float]] = []
    """`height` rows of `width` numbers, 0 to 1: the largest is 1."""
    box: tuple[int, int, int, int] | None = None
    """The part of the upright picture that the values cover, in pixels: the model's input."""
    withheld: str | None = None
    """Why the heatmap is withheld."""
    links: dict[str, str] = {}
    """`png`: the heatmap over the picture."""


class Prediction(Answer):
    """One image's result; `label` and `score` are set even if the decision is null ("none of these").

    A multi-label model sets `labels`, and `decision` is null; `abstained` means none of the labels.
    """

    job_id: str | None = None
    """The batch or prediction that it belongs to; with `seq` it identifies a result to correct."""
    seq: int
    custom_id: str
    status: Literal["queued", "succeeded", "errored", "cancelled", "expired"]
    label: str | None = None
    score: float | None = None
    known_score: float | None = None
    """Fraction of held-out images of the model's classes that are less typical of them than this one."""
    decision: str | None = None
    labels: list[str] | None = None
    """Labels that a multi-label model decided for, in alphabetical order; null for a single-label model."""
    abstained: bool = False
    abstain_reason: str | None = None
    scores: list[Score] = []
    prediction_set: list[str] | None = None
    """Labels, likeliest first, that have the true one with the requested probability; null unless requested."""
    tags: list[Tag] | None = None
    """Labels found in parts of the picture, likeliest first; null unless requested."""
    heatmap: Heatmap | None = None
    true_label: str | None = None
    """The label in the data set, if the batch was made from one; null if it has several."""
    true_labels: list[str] | None = None
    """All labels in the data set; null if unlabelled, empty if none of the labels."""
    image: ImageInfo = ImageInfo()
    model: str | None = None
    error: Problem | None = None
    probabilities: list[float] | None = None
    """Of every label, in the order of the batch's `label_names`; null unless requested."""


class Predictions(Answer):
    """The answer to a prediction that is not recorded: it has no job, and `job_id` is null."""

    model: str
    predictions: list[Prediction]


class BatchPart(Answer):
    """A Parquet file with the results of some images in a row."""

    name: str
    first_seq: int
    succeeded: int
    errored: int
    bytes: int
    sha256: str
    url: str | None = None
    """Where it is, if not in the service's own store."""
    links: dict[str, str] = {}
    """`content`: the file."""


class LabelSummary(Answer):
    """How many images a label is the likeliest of, and how many were decided for it.

    For a multi-label model: how many reached the label's threshold, and how many of them are known.
    """

    label: str
    images: int
    decisions: int


class ErrorSummary(Answer):
    code: str
    images: int


class BatchSummary(Answer):
    """Results of a batch so far, counted, most frequent first."""

    counts: ItemCounts
    labels: list[LabelSummary]
    none_of_these: int
    """Without a decision, because they resemble no class of the model."""
    below_threshold: int
    """Without a decision, because the probability is too low."""
    errors: list[ErrorSummary]
    drift: BatchDrift | None = None
    """The pictures beside those that the model's training held out; null before the first result."""
