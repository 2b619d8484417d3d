"""Findings that more than a tenth of all images have are typical of the data set: only the worst are listed.

All handwritten digits are small, soft and grey, which is no fault of any of them.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

MANY: Final = 0.1
"""Fraction of the images above which a finding is prevalent, and the most that are listed then."""
USUAL: Final = 0.5
"""Fraction of the images above which a finding is usual: then only those are listed that still stand out."""
FENCE: Final = 3.0
"""Distances from the median to the lower quartile, below which an image stands out (Tukey's fence of 1.5 ranges)."""
ENOUGH: Final = 20
"""Images needed to tell what is prevalent."""


def is_prevalent(found: int, images: int) -> bool:
    return images >= ENOUGH and found > MANY * images


def worst(scores: NDArray[np.float64], images: int) -> NDArray[np.bool_]:
    """Return which findings of one kind to list (F,).

    Args:
        scores: of the findings, lower is worse, (F,).
        images: of the data set, with and without the finding.
    """
    if not is_prevalent(len(scores), images):
        return np.ones(len(scores), bool)
    ordered = np.sort(scores)
    limit = ordered[int(MANY * images)]  # exclude ties with the first one too many: the choice would be arbitrary
    if len(scores) > USUAL * images:
        lower, middle = ordered[int(images / 4)], ordered[int(images / 2)]
        limit = min(limit, lower - FENCE * (middle - lower))
    listed: NDArray[np.bool_] = scores < limit
    return listed
