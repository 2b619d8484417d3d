"""Cached embeddings of a run's pictures."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import interpolate

from training.control import Control
from training.events import Events
from training.run import Picture, Run
from tsukiji.vision.decoding.decode import DecodeLimits
from tsukiji.vision.execution_plan import Plan
from tsukiji.vision.feature_cache import CLOSE, MIRRORED, PLAIN, FeatureCache, rounded
from tsukiji.vision.fuse_batch_norm import fold
from tsukiji.vision.model import Classifier, build_on
from tsukiji.vision.preprocess import Preprocess
from tsukiji.vision.streams import in_streams, parts_of

SAVED_PARTS: Final = 8
"""Forward passes between two writes to the cache."""
CLOSE_PART: Final = 0.75
CLOSE_SCALE: Final = 2 / 3
"""Side of the view `CLOSE` relative to the picture's: two scales show more than one."""

Floats = NDArray[np.float32]
Found = dict[int, dict[str, Floats]]
"""By view, the embeddings of pictures by `content`."""


@dataclass(frozen=True)
class Embedder:
    """Computes embeddings of a run's pictures with a frozen network, and caches them if there is a file for it."""

    run: Run
    model: Classifier
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
        width = self.model.num_embedded
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
        pixels = torch.from_numpy(np.stack([self._fitted(picture) for picture in part]))
        found: Found = {}
        for view, names in lacking.items():
            numbers = [number for number, picture in enumerate(part) if picture.content in names]
            if numbers:
                rows = self._pass(look(pixels[numbers], view))
                found[view] = {part[number].content: row for number, row in zip(numbers, rows, strict=True)}
        return found

    def _fitted(self, picture: Picture) -> Floats:
        image = picture.open(DecodeLimits(**self.run.limits), self.preprocess.size)
        pixels: Floats = self.preprocess.to_array([image])[0]
        return pixels

    @torch.inference_mode()
    def _pass(self, pixels: torch.Tensor) -> Floats:
        inputs = pixels.to(self.plan.device, self.model.dtype, memory_format=self.plan.memory_format)
        rows = self.model.embed(inputs).cpu().numpy()
        return rounded(rows) if self.kept else rows


def frozen(backbone: str, body: dict[str, torch.Tensor], plan: Plan) -> Classifier:
    """Return an embedding network, as fast as this device allows; its head is unused."""
    model = build_on(backbone, body, 1).eval().requires_grad_(False)
    fold(model)
    model.lower(plan.dtype)
    return model.to(plan.device).to(memory_format=plan.memory_format)


def views_of(*, mirror: bool) -> tuple[int, ...]:
    """Return the views of a picture by which its label is checked; the mirror image only if allowed."""
    return (PLAIN, MIRRORED, CLOSE) if mirror else (PLAIN, CLOSE)


def look(pixels: torch.Tensor, view: int) -> torch.Tensor:
    """Return a view of normalised pictures (N, 3, H, W)."""
    if view == CLOSE:
        side = pixels.shape[3]
        margin, size = round(side * (1 - CLOSE_PART) / 2), max(1, round(side * CLOSE_SCALE))
        middle = pixels[:, :, margin : side - margin, margin : side - margin]
        return interpolate(middle, (size, size), mode="bilinear", antialias=True)
    return pixels.flip(3) if view == MIRRORED else pixels
