"""Cached embeddings of a run's pictures."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Final

import numpy as np

from training.control import Control
from training.events import Events
from training.run import Picture, Run
from tsukiji.vision.decoding.decode import DecodeLimits
from tsukiji.vision.engines import Engine, Floats, Pixels
from tsukiji.vision.execution_plan import Plan
from tsukiji.vision.feature_cache import PLAIN, FeatureCache, rounded
from tsukiji.vision.preprocess import Preprocess
from tsukiji.vision.streams import in_streams, parts_of

SAVED_PARTS: Final = 8
"""Forward passes between two writes to the cache."""


@dataclass(frozen=True)
class Embedder:
    """Computes embeddings of a run's pictures, and caches them if there is a file for it."""

    run: Run
    engine: Engine
    preprocess: Preprocess
    plan: Plan
    kept: FeatureCache | None
    control: Control
    events: Events

    def embed(self, pictures: Sequence[Picture]) -> Floats:
        """Return embeddings (N, E) of pictures; rounded to half precision if cached.

        Raises:
            Cancelled
            BlobMissing, BlobCorrupt, ImageError: with the picture's name.
        """
        names = [picture.content for picture in pictures]
        known = self.kept.read(names, PLAIN, self.engine.num_embedded) if self.kept else {}
        missing = list({each.content: each for each in pictures if each.content not in known}.values())
        parts = parts_of(missing, self.plan.batch_size, self.plan.streams)
        with closing(in_streams(self.plan, parts, self._look)) as found:
            while fresh := list(islice(found, SAVED_PARTS)):
                rows = {name: row for part in fresh for name, row in part.items()}
                known |= rows
                if self.kept:
                    self.kept.write(rows, PLAIN)
                self.events.alive()
        whole: Floats = np.stack([known[name] for name in names])
        return whole

    def _look(self, part: Sequence[Picture]) -> dict[str, Floats]:
        """Return embeddings by `content`."""
        self.control.check()
        rows, _ = self.engine.look(np.concatenate([self._fitted(picture) for picture in part]))
        rows = rounded(rows) if self.kept else rows
        return dict(zip((picture.content for picture in part), rows, strict=True))

    def _fitted(self, picture: Picture) -> Pixels:
        return self.preprocess.to_pixels([picture.open(DecodeLimits(**self.run.limits), self.preprocess.size)])
