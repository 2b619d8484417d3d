"""The region of a picture that the features respond to: a suggested crop, to be accepted or corrected.

Wei, Luo, Wu and Zhou, "Selective convolutional descriptor aggregation for fine-grained image retrieval", IEEE
Transactions on Image Processing, 2017: the sum of the last maps, above its mean, the largest connected part.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tsukiji.vision.feature_cache import Floats

GRID: Final = 28
WHOLE: Final = (0.0, 0.0, 1.0, 1.0)

Box = tuple[float, float, float, float]
"""Left, upper, right, lower, as fractions of the picture's width and height."""


def find_region(summed: Floats, width: int, height: int) -> Box:
    """Return the box of a picture of this size that the sum (h, w) of its largest centred square's maps responds to.

    A box at an edge of the square is extended to the picture's edge, so that unseen parts are not cut off.
    """
    responses = np.asarray(Image.fromarray(summed).resize((GRID, GRID), Image.Resampling.BILINEAR))
    cells = largest_part(responses > responses.mean())
    if not cells.any():
        return WHOLE
    rows, columns = np.flatnonzero(cells.any(axis=1)), np.flatnonzero(cells.any(axis=0))
    left, right = place(columns[0], columns[-1] + 1, width, min(width, height))
    upper, lower = place(rows[0], rows[-1] + 1, height, min(width, height))
    return left, upper, right, lower


def place(first: int, last: int, length: int, side: int) -> tuple[float, float]:
    """Return the fraction of a side of this length covered by cells `first` to `last` of its centred square."""
    margin = (length - side) / 2
    begin = 0.0 if first == 0 else (margin + first / GRID * side) / length
    end = 1.0 if last == GRID else (margin + last / GRID * side) / length
    return begin, end


def largest_part(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the largest 4-connected component of a mask."""
    numbers = np.where(mask, np.arange(1, mask.size + 1).reshape(mask.shape), 0)
    while True:  # each cell takes the largest number around it until nothing changes
        grown = numbers.copy()
        grown[1:] = np.maximum(grown[1:], numbers[:-1])
        grown[:-1] = np.maximum(grown[:-1], numbers[1:])
        grown[:, 1:] = np.maximum(grown[:, 1:], numbers[:, :-1])
        grown[:, :-1] = np.maximum(grown[:, :-1], numbers[:, 1:])
        grown[~mask] = 0
        if np.array_equal(grown, numbers):
            break
        numbers = grown
    parts, counts = np.unique(numbers[mask], return_counts=True)
    return mask if not len(parts) else numbers == parts[counts.argmax()]
