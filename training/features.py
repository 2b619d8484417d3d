"""Cached embeddings of a run's pictures."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Final, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import interpolate

from training.control import Control
from training.events import Events
from training.run import Picture, Run
from tsukiji.kernel.pipeline import submit_ahead
from tsukiji.vision.decoding.decode import DecodeLimits
from tsukiji.vision.execution_plan import DTYPES, Precision
from tsukiji.vision.feature_cache import CLOSE, MIRRORED, PLAIN, FeatureCache, rounded
from tsukiji.vision.fuse_batch_norm import fold
from tsukiji.vision.model import Classifier, build_on
from tsukiji.vision.preprocess import Preprocess

BATCH: Final = 64
DECODERS: Final = 2
CLOSE_PART: Final = 0.75
CLOSE_SCALE: Final = 2 / 3
"""Side of the view `CLOSE` relative to the picture's: two scales show more than one."""

Floats = NDArray[np.float32]
Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Embedder:
    """Computes embeddings of a run's pictures with a frozen network, and caches them if there is a file for it."""

    run: Run
    model: Classifier
    preprocess: Preprocess
    device: torch.device
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
        missing = {
            picture.content: picture
            for picture in pictures
            if any(picture.content not in known[view] for view in views)
        }
        for batch, inputs in ahead(list(missing.values()), self._fitted):
            self.control.check()
            pixels = torch.from_numpy(np.stack(inputs))
            for view in views:
                lacking = [number for number, picture in enumerate(batch) if picture.content not in known[view]]
                if not lacking:
                    continue
                rows = self._pass(look(pixels[lacking], view))
                found = {batch[number].content: row for number, row in zip(lacking, rows, strict=True)}
                known[view] |= found
                if self.kept:
                    self.kept.write(found, view)
            self.events.alive()
        whole: Floats = np.stack([np.stack([known[view][name] for name in names]) for view in views])
        return whole

    def _fitted(self, picture: Picture) -> Floats:
        image = picture.open(DecodeLimits(**self.run.limits), self.preprocess.size)
        pixels: Floats = self.preprocess.to_array([image])[0]
        return pixels

    @torch.inference_mode()
    def _pass(self, pixels: torch.Tensor) -> Floats:
        layout = torch.contiguous_format if self.device.type == "mps" else torch.channels_last
        inputs = pixels.to(self.device, self.model.dtype, memory_format=layout)
        rows = self.model.embed(inputs).cpu().numpy()
        return rounded(rows) if self.kept else rows


def frozen(backbone: str, body: dict[str, torch.Tensor], device: torch.device, precision: Precision) -> Classifier:
    """Return an embedding network, as fast as this device allows; its head is unused."""
    model = build_on(backbone, body, 1).eval().requires_grad_(False)
    fold(model)
    model.lower(DTYPES[precision])
    layout = torch.contiguous_format if device.type == "mps" else torch.channels_last
    return model.to(device).to(memory_format=layout)


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


def ahead(pictures: Sequence[Item], fitted: Callable[[Item], Result]) -> Iterator[tuple[Sequence[Item], list[Result]]]:
    """Yield batches with their pixels; threads decode the next batch while the caller computes."""
    with ThreadPoolExecutor(DECODERS) as pool, closing(submit_ahead(pool, fitted, pictures, BATCH)) as decoded:
        while batch := list(islice(decoded, BATCH)):
            yield [picture for picture, _ in batch], [future.result() for _, future in batch]
