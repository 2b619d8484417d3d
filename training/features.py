"""Cached embeddings of a run's pictures."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Final

import numpy as np
from PIL import Image

from training.control import Control
from training.events import Events
from training.run import Picture, Run
from tsukiji.vision.decoding.decode import DecodeLimits
from tsukiji.vision.engines import Engine, Floats, Pixels
from tsukiji.vision.execution_plan import Plan
from tsukiji.vision.feature_cache import CLOSE, MIRRORED, PLAIN, FeatureCache, rounded
from tsukiji.vision.preprocess import Preprocess
from tsukiji.vision.streams import in_streams, parts_of

SAVED_PARTS: Final = 8
"""Forward passes between two writes to the cache."""
CLOSE_PART: Final = 0.75
CLOSE_SCALE: Final = 2 / 3
"""Side of the view `CLOSE` relative to the picture's: two scales show more than one."""
SMOOTH: Final = Image.Resampling.BILINEAR

Found = dict[int, dict[str, Floats]]
"""By view, the embeddings of pictures by `content`."""


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

    def embed(self, pictures: Sequence[Picture], views: Sequence[int] = (PLAIN,)) -> Floats:
        """Return embeddings (V, N, E) of the views of pictures; rounded to half precision if cached.

        Raises:
            Cancelled
            BlobMissing, BlobCorrupt, ImageError: with the picture's name.
        """
        names = [picture.content for picture in pictures]
        width = self.engine.num_embedded
        known = {view: self.kept.read(names, view, width) if self.kept else {} for view in views}
        lacking = {view: set(names) - known[view].keys() for view in views}
        some = set().union(*lacking.values())
        missing = list({picture.content: picture for picture in pictures if picture.content in some}.values())
        parts = parts_of(missing, self.plan.batch_size, self.plan.streams)
        with closing(in_streams(self.plan, parts, partial(self._look, lacking))) as found:
            while fresh := list(islice(found, SAVED_PARTS)):
                for view in views:
                    rows = {name: row for part in fresh for name, row in part.get(view, {}).items()}
                    known[view] |= rows
                    if self.kept and rows:
                        self.kept.write(rows, view)
                self.events.alive()
        whole: Floats = np.stack([np.stack([known[view][name] for name in names]) for view in views])
        return whole

    def _look(self, lacking: Mapping[int, Collection[str]], part: Sequence[Picture]) -> Found:
        """Decode pictures once, and embed the views that each lacks."""
        self.control.check()
        pixels = np.concatenate([self._fitted(picture) for picture in part])
        found: Found = {}
        for view, names in lacking.items():
            numbers = [number for number, picture in enumerate(part) if picture.content in names]
            if numbers:
                rows, _ = self.engine.look(look(pixels[numbers], view))
                rows = rounded(rows) if self.kept else rows
                found[view] = {part[number].content: row for number, row in zip(numbers, rows, strict=True)}
        return found

    def _fitted(self, picture: Picture) -> Pixels:
        return self.preprocess.to_pixels([picture.open(DecodeLimits(**self.run.limits), self.preprocess.size)])


def views_of(*, mirror: bool) -> tuple[int, ...]:
    """Return the views of a picture by which its label is checked; the mirror image only if allowed."""
    return (PLAIN, MIRRORED, CLOSE) if mirror else (PLAIN, CLOSE)


def look(pixels: Pixels, view: int) -> Pixels:
    """Return a view of fitted pictures (N, S, S, 3)."""
    if view == CLOSE:
        side = pixels.shape[1]
        margin, size = round(side * (1 - CLOSE_PART) / 2), max(1, round(side * CLOSE_SCALE))
        middle = (margin, margin, side - margin, side - margin)
        closer = [Image.fromarray(each).crop(middle).resize((size, size), SMOOTH) for each in pixels]
        return np.stack([np.asarray(each) for each in closer])
    return np.ascontiguousarray(pixels[:, :, ::-1]) if view == MIRRORED else pixels
