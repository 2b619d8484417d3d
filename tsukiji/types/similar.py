"""Images that look most like a picture, and maps of data sets."""

from typing import Literal

from tsukiji.types.analyses import FindingKind
from tsukiji.types.base import Answer, Split
from tsukiji.types.datasets import Image


class SimilarImage(Answer):
    object: Literal["similar_image"] = "similar_image"
    similarity: float
    """Cosine of the features of both pictures: 1 for the same."""
    dataset_id: str
    image: Image


class SimilarImages(Answer):
    """Images that look most like a picture, and whether it is a new one."""

    object: Literal["similar_images"] = "similar_images"
    backbone: str
    """Whose features were compared."""
    searched: int
    """Images that were compared."""
    missing: int
    """Images that were not, because no features of them are kept; an analysis keeps them."""
    known_score: float | None = None
    """Fraction of the images that look less like their own nearest neighbour than the picture like its: low for a new
    kind of picture; null with fewer than two images."""
    images: list[SimilarImage]
    """The most similar first."""


class MapPoint(Answer):
    """An image in the plane."""

    image_id: str
    name: str
    x: float
    y: float
    label: str | None = None
    labels: list[str] | None = None
    """Null if unlabelled."""
    predicted: list[str] | None = None
    """By the last evaluation on the data set; null if the image was not part of it."""
    split: Split | None = None
    findings: list[FindingKind] = []
    """Of the last analysis."""


class DatasetMap(Answer):
    """The images of a data set in a plane: those that look alike are near each other."""

    object: Literal["dataset_map"] = "dataset_map"
    dataset_id: str
    backbone: str
    """Whose features it is a plane of."""
    images: int
    """Images with features; if there are more than `points`, these were chosen evenly."""
    missing: int
    """Images without, which are not in it; an analysis keeps features."""
    explained: tuple[float, float]
    """Parts of the variance along both axes, which are the principal ones."""
    points: list[MapPoint]
