"""Analyses of data sets, and their findings."""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from tsukiji.types.base import Answer, Metadata, Request, Split
from tsukiji.types.datasets import Image
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


class FeaturesCreate(Request):
    backbone: Literal[Backbone, "auto"] = Field(
        "auto",
        description="The backbone whose features are compared. `auto`: resnet34 if a worker has its weights, "
        "else efficientnet_lite0.",
    )
    image_size: int = Field(224, ge=32, le=1024, multiple_of=16, description="Input size in pixels.")
    metadata: Metadata = {}


class AnalysisCreate(FeaturesCreate):
    pass


class Finding(Answer):
    """Something about one image that a person should check."""

    object: Literal["finding"] = "finding"
    kind: str
    image_id: str
    score: float
    """0 to 1; lower is more urgent."""
    group: str | None = None
    """Shared by images that belong together."""
    suggestion: dict[str, Any] | None = None
    """Suggested fix; its members depend on the kind."""
    name: str
    label: str | None
    labels: list[str] | None = None
    """All labels of the image now."""
    split: Split | None = None
    width: int
    height: int
    bytes: int
    image: Image | None = None
    """The record of the image as it is now."""
    links: dict[str, str] = {}


class LabelBalance(Answer):
    label: str
    images: int
    share: float
    """Of the labelled images."""
    rare: bool
    """Has it fewer than a tenth of the images it would have if all labels had equally many?"""


class Analysis(Answer):
    """Results of an analysis for the data set as a whole."""

    object: Literal["analysis"] = "analysis"
    dataset_id: str
    job_id: str
    finished_at: datetime
    images: int
    """Images that the data set had then."""
    images_since: int
    """Change in the number of images since."""
    findings: dict[str, int]
    """Number of findings by kind."""
    prevalent: dict[str, int] = {}
    """Kinds that apply to more than a tenth of the images, with their number: usual for this data set. For poor
    pictures, outliers, suspected labels and crops, only the worst are findings then."""
    groups: int
    """Of near-duplicates."""
    unavailable: list[dict[str, Any]] = []
    """What could not be analysed: `findings`, and the error."""
    balance: list[LabelBalance] = []
    """Images per label, most frequent first."""
    unlabelled: int = 0
    links: dict[str, str] = {}
