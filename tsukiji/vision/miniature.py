"""A picture's miniature: a small version stored so that pictures can be compared without reading them again."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE: Final = 48
CELLS: Final = 8
BYTES: Final = SIDE**2 + 2 * CELLS**2

Miniatures = NDArray[np.uint8]
"""(N, BYTES): the greys, row by row, then the two colour differences (Cb, Cr) of a grid of cells."""


def miniature_of(picture: Image.Image) -> bytes:
    """Return an RGB picture's miniature, `BYTES` long, independent of its size and proportions."""
    small = picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS, reducing_gap=3.0).convert("YCbCr")
    grey, *colours = small.split()
    cells = [plane.resize((CELLS, CELLS), Image.Resampling.BOX) for plane in colours]
    return b"".join(plane.tobytes() for plane in (grey, *cells))


def greys_of(miniatures: Miniatures) -> NDArray[np.float32]:
    """Return the greys, (N, SIDE, SIDE)."""
    return miniatures[:, : SIDE**2].reshape(-1, SIDE, SIDE).astype(np.float32)


def colours_of(miniatures: Miniatures) -> NDArray[np.float32]:
    """Return the colour differences, (N, 2 * CELLS**2); 0 is grey."""
    return miniatures[:, SIDE**2 :].astype(np.float32) - 128
