"""From measures to issues: which pictures have unusual values. Knows no pixels.

The limits are those of CleanVision if its measure is the same; blur's was chosen so that one in a hundred sharp photos
is reported, and nearly all photos blurred over 4 of 500 pixels.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tsukiji.types import FindingKind

LIMITS: Final[dict[FindingKind, float]] = {
    "blurry": 0.3,
    "dark": 0.32,
    "light": 0.05,
    "low_information": 0.375,
    "grayscale": 0.02,
}
"""An image has the issue if its measure is lower."""
ODD_ASPECT: Final = 0.35
ODD_SIZE_RANGES: Final = 5.0
"""Interquartile ranges from the middle of the quartiles."""
ENOUGH: Final = 20
"""Images needed to tell what is usual."""

Floats = NDArray[np.float64]
Issue = tuple[int, FindingKind, float]
"""Position of the image, kind, score in 0..1: lower is worse."""


def find_issues(measures: Mapping[str, Floats], sizes: Sequence[tuple[int, int]]) -> Iterator[Issue]:
    """Yield the issues of images, given the measures of `tsukiji.vision.quality` by name, and (width, height)."""
    for kind, limit in LIMITS.items():
        values = measures[kind]
        yield from ((int(image), kind, float(values[image])) for image in np.flatnonzero(values < limit))
    if not sizes:
        return
    sides = np.array(sizes, dtype=np.float64)
    aspects = sides.min(axis=1) / sides.max(axis=1)
    yield from ((int(odd), "odd_aspect_ratio", float(aspects[odd])) for odd in np.flatnonzero(aspects < ODD_ASPECT))
    yield from ((image, "odd_size", score) for image, score in odd_sizes(np.sqrt(sides.prod(axis=1))))


def odd_sizes(sides: Floats) -> Iterator[tuple[int, float]]:
    """Yield images far larger or smaller than usual, with a score of how near they are to usual (wide Tukey fences).

    If most images have one size, a quarter of it replaces the range.
    """
    if len(sides) < ENOUGH:
        return
    low, high = np.percentile(sides, (25, 75))
    middle, allowed = (low + high) / 2, ODD_SIZE_RANGES * max(high - low, (low + high) / 8)
    distances = np.abs(sides - middle)
    for image in np.flatnonzero(distances > allowed):
        yield int(image), float(allowed / distances[image] / 2)
    for image in np.flatnonzero((sides * ODD_SIZE_RANGES < middle) & (distances <= allowed)):
        yield int(image), float(sides[image] / middle)
