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
from tsukiji.vision.decoding.decode import DecodeLimits, measure
from tsukiji.vision.engines import Engine, Floats, Pixels
from tsukiji.vision.execution_plan import Plan
from tsukiji.vision.feature_cache import PLAIN, FeatureCache, Size, rounded
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
                rows = {name: row for part, _ in fresh for name, row in part.items()}
                known |= rows
                if self.kept:
                    self.kept.write(rows, PLAIN, {name: size for _, part in fresh for name, size in part.items()})
                self.events.alive()
        whole: Floats = np.stack([known[name] for name in names])
        return whole

    def _look(self, part: Sequence[Picture]) -> tuple[dict[str, Floats], dict[str, Size]]:
        """Return embeddings and the sizes of the whole pictures, by `content`: batches tell these, and read no file."""
        self.control.check()
        rows, _ = self.engine.look(np.concatenate([self._fitted(picture) for picture in part]))
        rows = rounded(rows) if self.kept else rows
        names, limits = [picture.content for picture in part], DecodeLimits(**self.run.limits)
        sizes = [measure(picture.path.read_bytes(), limits) for picture in part] if self.kept else []
        return dict(zip(names, rows, strict=True)), dict(zip(names, sizes, strict=False))

    def _fitted(self, picture: Picture) -> Pixels:
        return self.preprocess.to_pixels([picture.open(DecodeLimits(**self.run.limits), self.preprocess.size)])
