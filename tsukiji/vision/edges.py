"""Boxes snapped to straight edges of a picture: the border of a photo on a page, a screen, a sign. Knows no labels.

Like "Edge Boxes" (Zitnick and Dollar, ECCV 2014) it asks how well edges bear out a box, but of upright and level lines
alone: what stands out along a side is then a difference of two running sums, and all combinations of the few best
positions of the four sides can be tried. Where lines are no stronger than chance makes them, a box stays where it is.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tsukiji.vision.predictor import Floats

LONGEST: Final = 256
"""The picture is scaled down by the whole number that brings its longer side nearest to so many pixels."""
AROUND: Final = 8
"""Pixels on either side that a difference of colours is held against: in a texture, no line stands out."""
NOISE: Final = 12.0
"""Differences no larger than this (of two pixels' sums, over three colours) are no edges."""
REACH: Final = 0.45
"""A side moves by at most this part of the box's width or height."""
POSITIONS: Final = 3
"""Of each side so many are tried, beside the one that it has."""
PULL: Final = 0.4
"""What a move costs: this times the square of it as a part of the box's width or height."""
CHANCE: Final = 0.44
CHANCE_OF_SHORT: Final = 0.8
"""A side of n pixels is to stand out by more than CHANCE + CHANCE_OF_SHORT / sqrt(n): the best of many lines comes near
that in a texture."""
LEAST_WORTH: Final = 0.06
"""Edges that bear a box out by less leave it alone. Borders of photos come to about 0.2, nine places of ten in plain
photos to less than 0.03."""
LEAST: Final = 4
"""Pixels of the small picture on each side of a box; where fewer are, it stays."""

Ints = NDArray[np.int64]

_COMBINATIONS: Final = np.indices((POSITIONS + 1,) * 4).reshape(4, -1).T
"""Which of its positions each side takes, (C, 4); the first combination is the box as it was."""


def snap(image: Image.Image, boxes: Floats) -> tuple[Floats, Floats]:
    """Return boxes (M, 4), in pixels of an RGB picture, moved to its edges, and how well these bear each out, (M,).

    The latter is 0 for boxes that stay because there is too little, and seldom above 0.3.
    """
    factor = max(1, round(max(image.size) / LONGEST))
    small = image.reduce((min(factor, image.width), min(factor, image.height)))
    scale: Floats = np.divide(small.size * 2, image.size * 2, dtype=np.float32)
    planes = np.asarray(small).astype(np.int16).transpose(2, 0, 1)
    upright, level = _lines(planes.copy()), _lines(planes.swapaxes(1, 2).copy())

    wanted = boxes * scale
    tried = np.stack([_positions((upright, level)[side % 2], wanted, side) for side in range(4)], 1)
    tried = tried[:, np.arange(4), _COMBINATIONS]
    worth = _worth(upright, level, tried, wanted)
    rows, best, most = np.arange(len(boxes)), worth.argmax(axis=1), worth.max(axis=1)
    best[most < LEAST_WORTH] = 0
    # A side that stays keeps its fraction of a pixel.
    found = np.where(tried[rows, best] == tried[:, 0], wanted, tried[rows, best]) / scale
    return found.astype(np.float32), np.where(most < LEAST_WORTH, 0, most).astype(np.float32)


def _lines(planes: NDArray[np.int16]) -> Floats:
    """Return how far boundaries between the columns of planes (3, h, w) stand out, summed over rows, (h + 1, w + 1).

    In one row it is 0 to 1: the difference of the two pixels before a boundary from the two behind, as a part of itself
    and the mean difference around it in that row.
    """
    height, width = planes.shape[1:]
    sums = np.zeros((height + 1, width + 1), np.float32)
    if width < LEAST:
        return sums
    pairs = planes[:, :, 1:] + planes[:, :, :-1]
    steps = np.abs(pairs[:, :, 2:] - pairs[:, :, :-2])
    step = (steps[0] + steps[1] + steps[2]).astype(np.float32)  # faster than .sum()
    window = 2 * AROUND + 1
    running = np.pad(step, ((0, 0), (AROUND + 1, AROUND)), mode="edge").cumsum(axis=1)
    around = running[:, window:] - running[:, :-window]
    around /= window  # in place, which is three times as fast as the one expression
    around += step
    around += np.float32(NOISE)
    np.cumsum(step / around, axis=0, out=sums[1:, 2 : width - 1])
    return sums


def _positions(lines: Floats, wanted: Floats, side: int) -> Ints:
    """Return where one side of boxes (M, 4) may go, (M, POSITIONS + 1): where it is, then where most stands out."""
    stays = np.round(wanted).astype(np.int64)
    near, far, stay = stays[:, 1 - side % 2], stays[:, 3 - side % 2], stays[:, side, None]
    length = (wanted[:, 2 + side % 2] - wanted[:, side % 2])[:, None]
    found = (lines[far] - lines[near]) / (far - near).clip(1)[:, None]
    moves = np.abs(np.arange(lines.shape[1]) - wanted[:, side, None]) / length
    found = np.where(moves > REACH, -1, found - PULL * moves**2)
    padded = np.pad(found, ((0, 0), (1, POSITIONS)), constant_values=-1)
    before, found, after = padded[:, :-2], padded[:, 1:-1], padded[:, 2:]
    peaks = np.where((found >= before) & (found >= after), found, -1)
    best = np.argsort(-peaks, axis=1)[:, :POSITIONS]
    return np.concatenate([stay, np.where(np.take_along_axis(peaks, best, axis=1) > -1, best, stay)], axis=1)


def _worth(upright: Floats, level: Floats, tried: Ints, wanted: Floats) -> Floats:
    """Return how well edges bear out each try (M, C, 4): the mean of its sides, less what moves from (M, 4) cost."""
    left, upper, right, lower = np.moveaxis(tried, -1, 0)
    across, down = right - left, lower - upper
    lengths = np.stack([down, across, down, across], axis=-1).clip(1)
    sums = (
        upright[lower, left] - upright[upper, left],
        level[right, upper] - level[left, upper],
        upright[lower, right] - upright[upper, right],
        level[right, lower] - level[left, lower],
    )
    found = np.stack(sums, axis=-1) / lengths - CHANCE - CHANCE_OF_SHORT / np.sqrt(lengths)
    found = np.where(tried == tried[:, :1], found.clip(0), found)  # to stay where nothing is costs nothing
    size = wanted[:, 2:] - wanted[:, :2]
    moves = (tried - wanted[:, None]) / np.tile(size, 2)[:, None]
    least = np.maximum(size / 2, LEAST)[:, None]
    too_small = (across < least[..., 0]) | (down < least[..., 1])
    worth: Floats = np.where(too_small, -1, found.mean(axis=-1) - PULL * (moves**2).mean(axis=-1))
    return worth
