"""Embeddings that are computed once and kept: of the same picture, pixels and network they are always the same."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, TypeVar

import numpy as np
import torch

from training.control import Control
from training.events import Events
from training.kept import KEPT_TYPE, MIRRORED, PLAIN, Floats, Kept
from training.run import Picture, Run
from tsukiji.vision.decode import DecodeLimits
from tsukiji.vision.model import Classifier
from tsukiji.vision.preprocess import Preprocess

VERSION: Final = 1
"""Of how embeddings are made; another one computes all of them anew."""
Item = TypeVar("Item")
Result = TypeVar("Result")

BATCH: Final = 64
DECODERS: Final = 2


def space_of(body: Mapping[str, torch.Tensor], backbone: str, preprocess: Preprocess) -> str:
    """Return a name for all that embeddings depend on beside the picture: weights, network, pixels."""
    digest = sha256(f"{VERSION} {backbone} {preprocess}".encode())
    for name, tensor in sorted(body.items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class Embedder:
    """Makes embeddings of a run's pictures with a frozen network, and keeps them where there is a place for it."""

    run: Run
    model: Classifier
    preprocess: Preprocess
    device: torch.device
    kept: Kept | None
    control: Control
    events: Events

    def embed(self, pictures: Sequence[Picture], views: Sequence[int] = (PLAIN,)) -> Floats:
        """Return embeddings (V, N, E) of the views of pictures; rounded to half precision where they are kept.

        Raises:
            Cancelled: that was ordered.
            BlobMissing, BlobCorrupt, ImageError: named after the picture.
        """
        names = [picture.sha256 for picture in pictures]
        width = self.model.num_embedded
        known = {view: self.kept.read(names, view, width) if self.kept else {} for view in views}
        missing = {
            picture.sha256: picture for picture in pictures if any(picture.sha256 not in known[view] for view in views)
        }
        for batch, inputs in ahead(list(missing.values()), self._fitted):
            self.control.check()
            pixels = torch.from_numpy(np.stack(inputs))
            for view in views:
                rows = self._pass(pixels.flip(3) if view == MIRRORED else pixels)
                found = {picture.sha256: row for picture, row in zip(batch, rows, strict=True)}
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
        rows = self.model.embed(pixels.to(self.device, memory_format=layout)).float().cpu().numpy()
        return rows.astype(KEPT_TYPE).astype(np.float32) if self.kept else rows


def ahead(pictures: Sequence[Item], fitted: Callable[[Item], Result]) -> Iterator[tuple[Sequence[Item], list[Result]]]:
    """Yield batches with their pixels; threads decode the next while the caller computes."""
    batches = [pictures[start : start + BATCH] for start in range(0, len(pictures), BATCH)]
    with ThreadPoolExecutor(DECODERS) as pool:
        waiting = [[pool.submit(fitted, picture) for picture in batch] for batch in batches[:1]]
        for number, batch in enumerate(batches):
            if number + 1 < len(batches):
                waiting.append([pool.submit(fitted, picture) for picture in batches[number + 1]])
            yield batch, [future.result() for future in waiting.pop(0)]
