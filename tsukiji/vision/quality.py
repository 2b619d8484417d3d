"""Photo quality measures of a single picture.

The issues are named as in CleanVision. Each measure is 0 to 1, lower is worse. They are taken at 128 pixels, so that a
picture's own size makes no difference, and a large JPEG need not be decoded at full size.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE: Final = 128
HSP: Final = np.array([0.241, 0.691, 0.068], np.float32)
"""Weights of red, green and blue in perceived brightness, squared (D. R. Finley's HSP model, 2006)."""
ENTROPY_BITS: Final = 8
FAINT: Final = 8
"""Added to the contrast, in greys, so that noise on a plain wall does not count as sharp."""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Quality:
    """Measures of one picture.

    Attributes:
        blurry: steepness of its steepest edges relative to its contrast.
        dark: brightness of its brightest parts.
        light: darkness of its darkest parts, relative to black.
        low_information: entropy of its greys, relative to 8 bits.
        grayscale: colourfulness of its most colourful parts.
    """

    blurry: float
    dark: float
    light: float
    low_information: float
    grayscale: float


def measure(picture: Image.Image) -> Quality:
    small = picture.copy()
    small.thumbnail((SIDE, SIDE), reducing_gap=2.0)
    colours = np.asarray(small, dtype=np.float32)
    greys = np.asarray(small.convert("L"))
    brightness = np.sqrt(colours**2 @ HSP) / 255
    return Quality(
        blurry=steepness(greys.astype(np.float32)),
        dark=float(np.percentile(brightness, 99)),
        light=1 - float(np.percentile(brightness, 5)),
        low_information=entropy(greys) / ENTROPY_BITS,
        grayscale=float(np.percentile(colours.max(axis=2) - colours.min(axis=2), 99)) / 255,
    )


def steepness(greys: Floats) -> float:
    """Return the 99th percentile of the Laplacian's magnitude relative to the contrast, at most 1.

    A focus measure of the Laplacian family (Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", ICPR
    2000). The paper's own, its variance, takes a sharp object before a blurred background for a blurred picture.
    """
    if min(greys.shape) < 3:
        return 1.0
    sides = greys[:-2, 1:-1] + greys[2:, 1:-1] + greys[1:-1, :-2] + greys[1:-1, 2:]
    low, high = np.percentile(greys, (1, 99))
    steepest = np.percentile(np.abs(sides - 4 * greys[1:-1, 1:-1]), 99)
    return float(min(1.0, steepest / (high - low + FAINT)))


def entropy(greys: NDArray[Any]) -> float:
    """Return Shannon's entropy of the histogram, in bits."""
    counts = np.bincount(greys.ravel(), minlength=256)
    shares = counts[counts > 0] / greys.size
    return max(0.0, float(-(shares * np.log2(shares)).sum()))
