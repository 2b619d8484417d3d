"""What is asked of a model, and what it answers."""

from typing import Any, Final, Literal, Self

from pydantic import Field, model_validator

from tsukiji.types.base import Answer, Box, Encoding, Label, Metadata, Problem, Request, Split, Url, check_one
from tsukiji.types.jobs import ItemCounts

MIN_KNOWN: Final = 0.05
"""The threshold of "none of these" where nobody sets another: it keeps 95% of held-out pictures of a model's kinds."""

LIKELIEST: Final = "top"
"""A heatmap of this is one of each picture's likeliest label."""


class BatchInput(Request):
    """What is to be classified: exactly one of its members, `split` beside `dataset`, `encoding` beside `upload`."""

    dataset: str | None = Field(None, description="Data set id or name.")
    split: Split | None = Field(None, description="Only these; a split as the model's training saw it.")
    upload: str | None = Field(None, description="Id of a completed upload: a zip or tar of pictures.")
    manifest: str | None = Field(None, description="Id of a completed upload: a line of JSON for each image.")
    source: Url | None = Field(None, description="A folder or S3 prefix that the service may read.")
    encoding: Encoding | None = Field(
        None,
        description="The code page of the names in an archive that does not say it, such as cp932; guessed if null.",
    )

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        check_one(self, "dataset", "upload", "manifest", "source")
        if self.split and not self.dataset:
            raise ValueError("`split` goes with `dataset`")
        if self.encoding and not self.upload:
            raise ValueError("`encoding` goes with `upload`")
        return self


class ManifestLine(Request):
    """One line of a manifest."""

    custom_id: str | None = Field(
        None,
        min_length=1,
        max_length=1000,
        pattern=r"^[^\x00-\x1f\x7f]+$",
        description="What the result is matched by; `image` if null. Once in a manifest.",
    )
    image: str = Field(
        min_length=1,
        max_length=4000,
        pattern=r"^[^\x00-\x1f\x7f]+$",
        description="Id of an image of a data set; `sha256:...` of bytes that the service holds; or the URL of a file "
        "in a folder or S3 prefix that the service may read, or on a host of the web that it may ask.",
        examples=["img_01kb0m9x2v8q4d6w0z3y7t5r1n", "s3://photos/2026/1.jpg"],
    )
    true_label: Label | None = Field(None, description="Comes back with the result; the image's own label if null.")

    @model_validator(mode="before")
    @classmethod
    def _as_listed(cls, line: Any) -> Any:
        """Take an image as the service itself lists it: an image, a finding, a suspect, a result."""
        match line:
            case {"image": _}:
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
        description="Below this probability the decision is null. Of a model of several labels: an image has all that "
        "reach it; 0 takes the model's own thresholds, one for each label.",
    )
    min_known: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Below this known score the decision is null: none of these. The model's own, which keeps 95% of "
        "held-out images of its kinds, if null; 0 decides for a kind whatever is shown.",
    )
    tags: bool = Field(
        False,
        description="Also say which kinds are where in each picture. This is weak localisation by a model that learnt "
        "whole pictures, not a trained detector: boxes are rough, and small things are missed.",
    )
    heatmap: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="Also make a heatmap of what speaks for a label: `top`, the likeliest of each picture, "
        "or the name of one. Withheld, with the reason, where the model's heatmaps do not hold up.",
    )
    deadline_seconds: int | None = Field(
        None, ge=1, le=30 * 86400, description="Give up what is not classified by then; the service's default if null."
    )
    retention_days: float | None = Field(
        None,
        ge=0,
        le=36500,
        description="Delete results and pictures so long after the end; 0 keeps them, the service's default if null.",
    )
    priority: int = Field(
        0, ge=0, le=4, description="More goes first; batches of one priority take turns. Predictions go before all."
    )
    metadata: Metadata = {}


class BatchCreate(BatchOptions):
    input: BatchInput


class BodyOptions(BatchOptions):
    """What goes with a batch whose archive or manifest is the raw body, in the query."""

    filename: str | None = Field(None, description="To be shown; not used as a path.")
    encoding: Encoding | None = Field(None, description="The code page of the names in an archive; guessed if null.")


class Score(Answer):
    label: str
    score: float


class ImageInfo(Answer):
    sha256: str | None = None
    width: int | None = None
    height: int | None = None


class Tag(Answer):
    """A kind that was found in a part of a picture."""

    label: str
    score: float
    """The label's probability in this part."""
    known_score: float | None = None
    """As a prediction's, of this part; null where the model cannot tell."""
    box: Box
    """Left, upper, right, lower in pixels of the upright picture. Rough: the model never saw a box."""


class Heatmap(Answer):
    """What speaks for a label, by place; either numbers, or why there are none."""

    label: str
    method: Literal["grad_cam", "occlusion"] | None = None
    width: int | None = None
    height: int | None = None
    values: list[list[float]] = []
    """`height` rows of `width` numbers, 0 to 1: the largest is 1."""
    box: tuple[int, int, int, int] | None = None
    """The part of the upright picture that they lie over, in pixels: what the model saw."""
    withheld: str | None = None
    """Why the model shows no heatmaps."""
    links: dict[str, str] = {}
    """`png`: the heatmap over the picture."""


class Prediction(Answer):
    """One image's result; `label` and `score` stand even where the decision is null ("none of these").

    A model of several labels decides for `labels`, and `decision` is null; `abstained` says that it is none of them.
    """

    job_id: str | None = None
    """The batch or prediction that it belongs to; with `seq` the place to correct it."""
    seq: int
    custom_id: str
    status: Literal["queued", "succeeded", "errored", "cancelled", "expired"]
    label: str | None = None
    score: float | None = None
    known_score: float | None = None
    """What part of held-out images of the model's kinds look less like what it learnt than this one."""
    decision: str | None = None
    labels: list[str] | None = None
    """Those that a model of several labels decided for, in alphabetical order; null of one of single labels."""
    abstained: bool = False
    abstain_reason: str | None = None
    scores: list[Score] = []
    tags: list[Tag] | None = None
    """Which kinds are where, likeliest first; null unless that was asked for."""
    heatmap: Heatmap | None = None
    true_label: str | None = None
    """The label the data set holds for it, where the batch came from one; null where that has several."""
    true_labels: list[str] | None = None
    """All that it holds; null where it is not known, empty where it is none of them."""
    image: ImageInfo = ImageInfo()
    model: str | None = None
    error: Problem | None = None
    probabilities: list[float] | None = None
    """Of every label, in the order of the batch's `label_names`; null unless it was asked for."""


class LabelSummary(Answer):
    """How many images were taken for a label, and of how many that was the decision.

    Of a model of several labels: how many reached the label's threshold, and how many of them are known things.
    """

    label: str
    images: int
    decisions: int


class ErrorSummary(Answer):
    code: str
    images: int


class BatchSummary(Answer):
    """What became of a batch's images so far, most first."""

    counts: ItemCounts
    labels: list[LabelSummary]
    none_of_these: int
    """Without a decision, since they resemble nothing that the model knows."""
    below_threshold: int
    """Without a decision, since the probability is too low."""
    errors: list[ErrorSummary]
