"""Input and output files of a training, in its own folder. Knows no fastai and no torch."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from training.engine_options import EngineOptions
from tsukiji.errors import BlobCorrupt, BlobMissing, DatasetTooSmall, ImageError, Invalid
from tsukiji.labels import split_labels
from tsukiji.types import Box, EpochMetrics, Kind, Leakage, Metrics, Recipe, Split
from tsukiji.vision.decoding.decode import DecodeLimits, decode
from tsukiji.vision.feature_cache import content_of

RUN_FILE: Final = "run.json"
REPORT_FILE: Final = "report.json"
PACKAGE_FOLDER: Final = "package"
CHECKPOINT_FOLDER: Final = "checkpoints"


class Picture(BaseModel):
    """One image of the snapshot; `path` is a local file, decoded by `tsukiji.vision.decoding`."""

    model_config = ConfigDict(frozen=True)

    path: Path
    label: str
    """One label, or a set of them as `tsukiji.labels.join_labels` writes it."""
    split: Split
    sha256: str
    name: str
    image_id: str | None = None
    crop: Box | None = None
    """The part of the picture in use."""
    unit: int | None = None
    """Pictures with the same number belong together, see `tsukiji.curation.groups`; None: alone."""

    @property
    def labels(self) -> list[str]:
        """All labels, sorted."""
        return split_labels(self.label)

    @property
    def content(self) -> str:
        """Identifies the pixels, see `content_of`."""
        return content_of(self.sha256, self.crop)

    def open(self, limits: DecodeLimits, target_side: int) -> Image.Image:
        """Return the RGB image; bytes that differ from those stored are refused.

        Raises:
            BlobMissing, BlobCorrupt, ImageError: with the picture's name.
        """
        try:
            data = self.path.read_bytes()
        except OSError as error:
            raise BlobMissing(f"{self.name}: {error}") from error
        if hashlib.sha256(data).hexdigest() != self.sha256:
            raise BlobCorrupt(f"{self.name}: its bytes have changed since they were stored as {self.sha256}.")
        try:
            return decode(data, limits, crop=self.crop, target_side=target_side)
        except ImageError as error:
            raise type(error)(f"{self.name}: {error.detail}") from error


class Run(EngineOptions):
    """`run.json`: the input of a training."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: Recipe
    kind: Kind = "single_label"
    model_id: str
    model_name: str
    images: list[Picture]
    unknown: list[Picture] = Field(default_factory=list)
    """Images of other things, to measure "none of these" on; not trained on."""
    snapshot_sha256: str
    leakage: Leakage | None = None
    """Leakage found in the split, for the model card."""
    weights_dir: Path | None = None
    download: bool = True
    workers: int = 0
    """Decoding processes; 0 decodes between the steps."""
    limits: dict[str, Any] = Field(default_factory=dict)
    """Fields of `tsukiji.vision.decoding.decode.DecodeLimits`; its defaults where absent."""
    features: Path | None = None
    """File of cached embeddings shared between trainings; None: no cache."""
    features_bytes: int = 2**31
    resume: Path | None = None
    """A checkpoint of an earlier attempt at this run."""

    @property
    def label_names(self) -> list[str]:
        """Return the sorted labels, so that runs over one snapshot number classes alike; `test` images add none."""
        return sorted({label for picture in self.images if picture.split != "test" for label in picture.labels})

    def of_split(self, split: Split) -> list[int]:
        """Return the indices into `images` that belong to a split.

        Raises:
            DatasetTooSmall: there are none.
        """
        if indices := [index for index, picture in enumerate(self.images) if picture.split == split]:
            return indices
        raise DatasetTooSmall(f"No image has the split {split}.")

    def check(self) -> None:
        """Raise DatasetTooSmall if there is nothing to train on, or to evaluate on."""
        for split in ("train", "valid"):
            if not any(self.images[index].labels for index in self.of_split(split)):
                raise DatasetTooSmall(f"All images of the split {split} have no labels: there is nothing to learn.")


class ItemResult(BaseModel):
    """The finished model's result on one held-out image; `index` counts in `Run.images`."""

    index: int
    predicted: str
    """A label, or a set of them as `tsukiji.labels.join_labels` writes it."""
    score: float
    """The probability of the likeliest label."""
    loss: float
    """Cross-entropy, nats; for multi-label, its mean over labels."""
    known_score: float
    probabilities: list[float]
    """In the order of `metrics.label_names`."""


class Suspect(BaseModel):
    """An image whose label may be wrong; `index` counts in `Run.images`, `score` is that of its label (0..1).

    In multi-label data it is the score of the worst label, which is superfluous or missing.
    """

    index: int
    suggested_label: str
    """As `ItemResult.predicted`."""
    score: float


class Report(BaseModel):
    """`report.json`: written last, so that its presence means that the package is complete."""

    metrics: Metrics
    items: list[ItemResult]
    suspects: list[Suspect]
    """Most suspicious first."""
    history: list[EpochMetrics]
    epoch: int
    """The epoch, counted from 1, of the package's weights; 0 if finished within the first."""
    finished_early: bool
    """By request, or by early stopping."""
    learning_rate: float
    weights_source: str
    """Where the initial weights came from; `random` if the recipe asked for that."""
    seconds: float
    """Duration of this attempt."""
    device: str
    versions: dict[str, str]


def load(folder: Path) -> Run:
    """Read `run.json`.

    Raises:
        Invalid: it is missing or malformed.
    """
    try:
        return Run.model_validate_json((folder / RUN_FILE).read_bytes())
    except (OSError, ValidationError) as error:
        raise Invalid(f"The run cannot be read: {error}") from error


@contextmanager
def draft_of(path: Path) -> Iterator[Path]:
    """Yield a path to write to, which is renamed to `path` at the end: `path` is either complete or absent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.part")
    yield draft
    draft.replace(path)
