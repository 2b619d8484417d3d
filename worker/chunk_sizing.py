"""How many images a worker takes at once: as many as it classifies in some seconds, and no more than its share."""

import math
from typing import Final

from db.jobs.scheduling import LEAST_IMAGES

FIRST_IMAGES: Final = 64
"""Of a model that this worker has not run yet; a second or so later it knows better."""
GROWTH: Final = 8
"""A chunk is at most this many times as long as the longest before: one quick chunk may have been an exception."""
NEWEST: Final = 0.5
"""How much the newest chunk says about the rate, beside all before it."""


class ChunkSizing:
    """What this process has measured, by model."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._longest: dict[str, int] = {}

    def note(self, model_id: str, images: int, seconds: float) -> None:
        """Learn from a chunk."""
        each = max(seconds, 1e-6) / max(images, 1)
        known = self._seconds.get(model_id, each)
        self._seconds[model_id] = NEWEST * each + (1 - NEWEST) * known
        self._longest[model_id] = max(images, self._longest.get(model_id, 0))

    def images(self, model_id: str, seconds: float, left: int, workers: int) -> int:
        """Return how many images to take of a batch that has `left` to do, while this many workers are there.

        The share of what is left shrinks towards the end of a batch (guided self-scheduling), so all end together.
        """
        fits = FIRST_IMAGES
        if model_id in self._seconds:
            fits = min(int(seconds / self._seconds[model_id]), GROWTH * self._longest[model_id])
        share = math.ceil(left / max(1, workers))
        passes = max(1, math.ceil(min(fits, share) / LEAST_IMAGES))
        return passes * LEAST_IMAGES
