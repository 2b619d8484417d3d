"""Confidence intervals of measured shares."""

import math
from typing import Final

Z95: Final = 1.959964


def wilson(right: int, images: int) -> tuple[float, float]:
    """Return the 95% Wilson score interval of a fraction, which stays within 0..1 for few images too."""
    share, z = right / images, Z95 * Z95 / images
    centre = (share + z / 2) / (1 + z)
    half = Z95 * math.sqrt(share * (1 - share) / images + z / (4 * images)) / (1 + z)
    return max(0.0, centre - half), min(1.0, centre + half)
