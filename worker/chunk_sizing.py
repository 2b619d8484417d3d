"""Chunk sizing: as many images as a worker classifies in some seconds, and no more than its share of the rest."""

import math
from typing import Final

from db.jobs.scheduling import LEAST_IMAGES

FIRST_IMAGES: Final = 64
"""For a model not run here yet; a second later there is a measurement."""
GROWTH: Final = 8
"""A chunk is at most this many times as long as the longest before: one fast chunk may have been an exception."""
NEWEST: Final = 0.5
"""Weight of the newest chunk in the moving average of the rate."""


class ChunkSizing:
    """Throughput of this process, by model."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._longest: dict[str, int] = {}

    def note(self, model_id: str, images: int, seconds: float) -> None:
        """Update the rate with a finished chunk."""
        each = max(seconds, 1e-6) / max(images, 1)
        known = self._seconds.get(model_id, each)
        self._seconds[model_id] = NEWEST * each + (1 - NEWEST) * known
        self._longest[model_id] = max(images, self._longest.get(model_id, 0))

    def images(self, model_id: str, seconds: float, left: int, workers: int) -> int:
        """Return how many images to take of a batch with `left` images left, shared by this many workers.

        The size shrinks with the remaining images (guided self-scheduling), so that all workers finish together.
        """
        fits = FIRST_IMAGES
        if model_id in self._seconds:
            fits = min(int(seconds / self._seconds[model_id]), GROWTH * self._longest[model_id])
        share = math.ceil(left / max(1, workers))
        passes = max(1, math.ceil(min(fits, share) / LEAST_IMAGES))
        return passes * LEAST_IMAGES
