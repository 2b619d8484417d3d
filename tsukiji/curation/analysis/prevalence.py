"""What more than a tenth of all images have is what the data set is like: of it only the worst are worth a look.

All handwritten digits are small, soft and grey, and that is no fault of any of them.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

MANY: Final = 0.1
"""Part of the images, above which a finding is prevalent; then so many are listed at most."""
USUAL: Final = 0.5
"""Part of the images, above which a finding is what is usual: then those are listed that stand out even so."""
FENCE: Final = 3.0
"""Distances from the median to the lower quartile, below which an image stands out (Tukey's fence of 1.5 ranges)."""
ENOUGH: Final = 20
"""Images that it takes to say what is prevalent."""


def is_prevalent(found: int, images: int) -> bool:
    return images >= ENOUGH and found > MANY * images


def worst(scores: NDArray[np.float64], images: int) -> NDArray[np.bool_]:
    """Return which findings of one kind are listed (F,).

    Args:
        scores: of the findings, the lower, the worse, (F,).
        images: of the data set, with and without the finding.
    """
    if not is_prevalent(len(scores), images):
        return np.ones(len(scores), bool)
    ordered = np.sort(scores)
    limit = ordered[int(MANY * images)]  # and none that is as good: which of them would be chance
    if len(scores) > USUAL * images:
        lower, middle = ordered[int(images / 4)], ordered[int(images / 2)]
        limit = min(limit, lower - FENCE * (middle - lower))
    listed: NDArray[np.bool_] = scores < limit
    return listed
