"""Drift: the pictures of batches beside those that a model's training held out."""

from datetime import datetime
from typing import Literal

from tsukiji.types.base import Answer, Page


class PictureDistribution(Answer):
    """Counts of pictures. `scores` and `known_scores` are histograms of 20 equal bins from 0 to 1."""

    images: int
    labels: dict[str, int]
    """By predicted label, those with any."""
    scores: list[int]
    """By the probability of that label."""
    known_scores: list[int]


class BatchDrift(Answer):
    """A batch beside the held-out pictures. Distances are 0 for equal distributions; they raise no alarm."""

    object: Literal["batch_drift"] = "batch_drift"
    batch_id: str
    model_id: str
    created_at: datetime
    images: int
    """Those that could be classified, so far."""
    strange: int | None = None
    """Pictures with a lower known score than 95% of the held-out ones of their label. Null until the batch has
    succeeded, and for models of earlier versions; so are `expected` and `p_value`."""
    expected: float | None = None
    """How many would be strange if all pictures were of the held-out kinds."""
    p_value: float | None = None
    """The probability of at least this many by chance."""
    exceeded: bool = False
    """There are more strange pictures than chance explains (`p_value` at most 0.005)."""
    label_distance: float | None = None
    """Total variation distance of the predicted labels, 0 to 1."""
    score_distance: float | None = None
    """Kolmogorov-Smirnov distance of the probabilities, 0 to 1."""
    known_distance: float | None = None
    """The same of the known scores."""
    embedding_distance: float | None = None
    """Maximum mean discrepancy of the embeddings."""
    pictures: PictureDistribution
    links: dict[str, str] = {}


class ModelDrift(Page[BatchDrift]):
    """A model's batches, newest first, beside the pictures that its training held out."""

    model_id: str
    held_out: PictureDistribution | None = None
    """Null for models of earlier versions."""
