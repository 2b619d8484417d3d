"""A picture's perceptual hash: 64 bits that hardly change when it is scaled, recompressed or made brighter.

The DCT hash of C. Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions" (2010), section 3.2, in
the common form that takes the 8 x 8 lowest frequencies, compared with their median.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE: Final = 32
KEPT: Final = 8
LEAST_CONTRAST: Final = 4.0
"""Standard deviation of the greys, of 255. Below it the bits would be noise; photos, even foggy ones, have over 10."""
PLAIN: Final = "0" * 16
"""The hash of a picture without structure. No other picture has it: half of the bits are set."""

_DCT: Final = np.cos(np.pi / (2 * SIDE) * np.arange(KEPT)[:, None] * (2 * np.arange(SIDE) + 1))
"""(KEPT, SIDE): the first rows of the DCT-II, without the scale, which makes no difference."""


def greys_of(picture: Image.Image) -> NDArray[np.uint8]:
    """Return the picture as (SIDE, SIDE) greys, regardless of its proportions."""
    small = picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS, reducing_gap=3.0).convert("L")
    return np.array(small, dtype=np.uint8)


def phash(picture: Image.Image) -> str:
    """Return the hash as 16 hex digits; `PLAIN` for a picture of a single tone."""
    return f"{int(hash_greys(greys_of(picture)[None])[0]):016x}"


def hash_greys(greys: NDArray[Any]) -> NDArray[np.uint64]:
    """Return the hashes (N,) of pictures (N, SIDE, SIDE); 0 for those of one tone."""
    frequencies = (_DCT @ greys.astype(np.float64) @ _DCT.T).reshape(len(greys), KEPT * KEPT)
    bits = frequencies > np.median(frequencies, axis=1, keepdims=True)
    found = np.packbits(bits, axis=1).view(">u8")[:, 0].astype(np.uint64)
    found[greys.std(axis=(1, 2)) < LEAST_CONTRAST] = 0
    return found
