"""Analyses of data sets, and what they find."""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from tsukiji.types.base import Answer, Metadata, Request, Split
from tsukiji.types.trainings import Backbone

FindingKind = Literal[
    "exact_duplicates",
    "near_duplicates",
    "conflicting_labels",
    "leaky_splits",
    "suspected_label",
    "blurry",
    "dark",
    "light",
    "low_information",
    "grayscale",
    "odd_size",
    "odd_aspect_ratio",
    "outlier",
    "crop",
    "label_next",
]


class AnalysisCreate(Request):
    backbone: Literal[Backbone, "auto"] = Field(
        "auto",
        description="Whose features pictures are compared by. `auto`: resnet34 where a worker can have its weights, "
        "else efficientnet_lite0.",
    )
    image_size: int = Field(224, ge=32, le=1024, multiple_of=16, description="Pixels on each side of what it sees.")
    metadata: Metadata = {}


class Finding(Answer):
    """Something about one image that a person should look at."""

    object: Literal["finding"] = "finding"
    kind: str
    image_id: str
    score: float
    """0 to 1; the lower, the sooner it should be looked at."""
    group: str | None = None
    """The same for images that belong together."""
    suggestion: dict[str, Any] | None = None
    """What to do about it, in members that depend on the kind."""
    name: str
    label: str | None
    labels: list[str] | None = None
    """All labels of the image now."""
    split: Split | None = None
    width: int
    height: int
    bytes: int
    links: dict[str, str] = {}


class LabelBalance(Answer):
    label: str
    images: int
    share: float
    """Of the labelled images."""
    rare: bool
    """Has it fewer than a tenth of what it would have if all labels had as many?"""


class Analysis(Answer):
    """What is known about a data set as a whole."""

    object: Literal["analysis"] = "analysis"
    dataset_id: str
    job_id: str
    finished_at: datetime
    images: int
    """That the data set had then."""
    images_since: int
    """That came or went since, as far as their number tells."""
    findings: dict[str, int]
    """How many of each kind."""
    prevalent: dict[str, int] = {}
    """Kinds that more than a tenth of the images have, with how many do: that is what the data set is like. Of poor
    pictures, outliers, suspected labels and crops only the worst are findings then."""
    groups: int
    """Of near-duplicates."""
    unavailable: list[dict[str, Any]] = []
    """What could not be looked for: `findings`, and the error that says why."""
    balance: list[LabelBalance] = []
    """Images per label, most first."""
    unlabelled: int = 0
    links: dict[str, str] = {}
