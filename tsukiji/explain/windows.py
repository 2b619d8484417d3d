"""A picture as windows of several sizes: one pass of the network at a higher resolution, and an embedding per window.

Windows are cropped from the feature maps, not from the picture (ROI Align, He et al., "Mask R-CNN", ICCV 2017), so that
any number of them costs one pass.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from tsukiji.errors import GpuOutOfMemory
from tsukiji.vision.engines import Floats
from tsukiji.vision.predictor import Predictor
from tsukiji.vision.preprocess import RESAMPLING

MORE_PIXELS: Final = 1.2
"""Pixels of the pass relative to a plain one: with 1.6 tags are no better, with 1.0 a little worse."""
LONGER: Final = 2
"""Most length of a side relative to a plain pass's."""
PARTS: Final = (0.8, 0.65, 0.5, 0.4)
"""Sides of windows relative to the picture's shorter side; one more window is the whole picture."""
NARROW: Final = 3
"""A picture with a larger aspect ratio gets the windows of a picture of this ratio."""
STEP: Final = 0.3
"""Most distance between neighbouring windows, relative to their side."""
BINS: Final = 4
"""Samples of a window's map on each side, for its maxima and means."""


@dataclass(frozen=True)
class Windows:
    """Windows of one picture; the first is all of it.

    Attributes:
        boxes: left, upper, right, lower in pixels of the picture, (M, 4), float32.
        embeddings: of each, (M, E), as by `Classifier.embed`.
    """

    boxes: Floats
    embeddings: Floats


def look_closely(predictor: Predictor, image: Image.Image) -> Windows:
    """Return the windows of an RGB picture of any size and proportions.

    Raises:
        GpuOutOfMemory: the pass does not fit.
    """
    boxes = boxes_of(*image.size)
    try:
        parts: Floats = (boxes / np.array(image.size * 2)).astype(np.float32)
        embeddings = _embed(predictor, fit(predictor, image), parts)
    except torch.OutOfMemoryError as error:
        raise GpuOutOfMemory(f"{predictor.device} has too little memory to find tags.") from error
    return Windows(boxes, embeddings)


def fit(predictor: Predictor, image: Image.Image) -> NDArray[np.uint8]:
    """Return the whole picture (H, W, 3) at the resolution of the pass, with about its proportions."""
    side, stride = predictor.preprocess.size, predictor.model.stride
    scale = min((MORE_PIXELS / (image.width * image.height)) ** 0.5, LONGER / max(image.size)) * side
    width, height = (max(1, round(length * scale / stride)) * stride for length in image.size)
    return np.array(image.resize((width, height), RESAMPLING[predictor.preprocess.interpolation]))


def boxes_of(width: int, height: int) -> Floats:
    """Return the boxes of a picture's windows, (M, 4)."""
    side = max(min(width, height), max(width, height) / NARROW)
    found = [(0.0, 0.0, float(width), float(height))]
    for part in PARTS:
        across, down = min(side * part, width), min(side * part, height)
        found += [
            (left, upper, left + across, upper + down)
            for upper in _starts(height, down)
            for left in _starts(width, across)
        ]
    return np.array(found, np.float32)


def _starts(length: float, window: float) -> list[float]:
    """Return the starts of windows that cover a length evenly."""
    count = int(np.ceil((length - window) / (window * STEP))) + 1
    starts: list[float] = np.linspace(0, length - window, count).tolist()
    return starts


@torch.inference_mode()
def _embed(predictor: Predictor, pixels: NDArray[np.uint8], parts: Floats) -> Floats:
    middle, maps = (torch.from_numpy(each).to(predictor.device) for each in predictor.engine.stages(pixels[None]))
    rois = torch.from_numpy(parts).to(predictor.device)
    changes = np.flatnonzero((parts[1:, 1::2] != parts[:-1, 1::2]).any(axis=1)) + 1
    rows = [slice(*ends) for ends in pairwise([0, *changes.tolist(), len(parts)])]
    means = _means(middle, rois)
    pooled = [predictor.model.pool(means[row], cut) for row, cut in zip(rows, _cut(maps, rois, rows), strict=True)]
    embeddings: Floats = torch.cat(pooled).cpu().numpy()
    return embeddings


def _means(maps: Tensor, rois: Tensor) -> Tensor:
    """Return the means of windows (M, C, 1, 1) of maps (1, C, h, w): of the samples of `_cut`."""
    height, width = maps.shape[2:]
    down, across = (_weights(rois[:, end::2], size).mean(1) for end, size in ((1, height), (0, width)))
    weights = (down[:, :, None] * across[:, None]).flatten(1)
    return (weights @ maps[0].flatten(1).T)[..., None, None]


def _cut(maps: Tensor, rois: Tensor, rows: Sequence[slice]) -> Iterator[Tensor]:
    """Yield windows (n, C, BINS, BINS) of maps (1, C, h, w), a row of the same height at a time.

    Windows are left, upper, right, lower as fractions, (M, 4). Equals ROI Align with one sample per bin. A row shares
    the interpolation of lines, and is pooled while in the cache: half the time of all at once.
    """
    height, width = maps.shape[2:]
    heights = rois[[row.start for row in rows], 1::2]
    lines = _weights(heights, height).flatten(0, 1) @ maps[0].permute(1, 2, 0).flatten(1)
    across = _weights(rois[:, ::2], width)
    for row, line in zip(rows, lines.reshape(len(rows), BINS, width, -1), strict=True):
        found = (across[row].flatten(0, 1) @ line).unflatten(1, (-1, BINS))
        yield found.transpose(0, 1).contiguous().permute(0, 3, 1, 2)


def _weights(ends: Tensor, length: int) -> Tensor:
    """Return the weight of each line of a map in each bin, (M, BINS, length), by linear interpolation.

    `ends` are the starts and ends of windows, (M, 2), as fractions.
    """
    bins = (torch.arange(BINS, device=ends.device) + 0.5) / BINS
    places = ends[:, :1] + (ends[:, 1:] - ends[:, :1]) * bins
    lines = (places * length - 0.5).clamp(0, length - 1)
    return (1 - (lines[..., None] - torch.arange(length, device=ends.device)).abs()).clamp(min=0)
