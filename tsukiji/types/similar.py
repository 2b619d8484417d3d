"""Images that look most like a picture."""

from typing import Literal

from tsukiji.types.base import Answer
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
