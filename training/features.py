"""Cached embeddings of a run's pictures."""

from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Final

import numpy as np

from training.control import Control
from training.crop_regions import find_region
from training.events import Events
from training.random_projection import compact
from training.run import Picture, Run
from tsukiji.vision.decoding.decode import DecodeLimits, measure
from tsukiji.vision.engines import Engine, Floats, Pixels
from tsukiji.vision.execution_plan import Plan
from tsukiji.vision.feature_cache import COMPACT, PLAIN, REGION, FeatureCache, Size, rounded
from tsukiji.vision.preprocess import Preprocess
from tsukiji.vision.streams import in_streams, parts_of

SAVED_PARTS: Final = 8
"""Forward passes between two writes to the cache."""
VIEWS: Final = (REGION, PLAIN, COMPACT)

Views = dict[int, dict[str, Floats]]
"""By view, what was found of pictures by `content`."""


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
    num_middle: int
    """The body's channels of earlier maps."""

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
                rows = {name: row for part, _ in fresh for name, row in part[PLAIN].items()}
                if self.kept:
                    keep(self.kept, fresh)
                    rows = dict(zip(rows, rounded(np.stack(list(rows.values()))), strict=True))
                known |= rows
                self.events.alive()
        whole: Floats = np.stack([known[name] for name in names])
        return whole

    def _look(self, part: Sequence[Picture]) -> tuple[Views, dict[str, Size]]:
        """Return what is kept, or embeddings alone, and the sizes of the whole pictures, by `content`: batches tell
        these, and read no file.
        """
        self.control.check()
        limits, names = DecodeLimits(**self.run.limits), [picture.content for picture in part]
        opened = [picture.open(limits, self.preprocess.size) for picture in part]
        pixels = np.concatenate([self.preprocess.to_pixels([each]) for each in opened])
        if not self.kept:
            return {PLAIN: dict(zip(names, self.engine.look(pixels)[0], strict=True))}, {}
        found = view(self.engine, self.num_middle, names, pixels, [each.size for each in opened])
        sizes = [measure(picture.path.read_bytes(), limits) for picture in part]
        return found, dict(zip(names, sizes, strict=True))


def keep(kept: FeatureCache, fresh: Sequence[tuple[Views, dict[str, Size]]]) -> None:
    """Write what was found of parts of pictures."""
    sizes = {name: size for _, part in fresh for name, size in part.items()}
    for number in VIEWS:
        kept.write({name: row for part, _ in fresh for name, row in part.get(number, {}).items()}, number, sizes)


def view(engine: Engine, num_middle: int, names: Sequence[str], pixels: Pixels, sizes: Sequence[Size]) -> Views:
    """Return region, embedding and compact embedding of each picture: all that an analysis asks for.

    Args:
        engine: of a frozen body.
        num_middle: its channels of earlier maps.
        names: of the N pictures, by `content`.
        pixels: of these, (N, S, S, 3).
        sizes: of what was decoded.
    """
    embeddings, summed = engine.look(pixels)
    regions = [np.array(find_region(each, *size), np.float32) for each, size in zip(summed, sizes, strict=True)]
    rows: tuple[Iterable[Floats], ...] = (regions, embeddings, compact(embeddings, num_middle))
    return {number: dict(zip(names, each, strict=True)) for number, each in zip(VIEWS, rows, strict=True)}
