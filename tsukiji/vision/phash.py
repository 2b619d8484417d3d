"""A picture's perceptual hash: 64 bits that hardly change when it is scaled, recompressed or made brighter.

The DCT hash of C. Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions" (2010), section 3.2, in
the common form that keeps the 8 x 8 lowest frequencies: which of them lie above their median. Knows no split.
"""

from typing import Final

import numpy as np
from PIL import Image

SIDE: Final = 32
KEPT: Final = 8
LEAST_CONTRAST: Final = 4.0
"""Standard deviation of the greys, of 255. Below it the bits would be noise; photos, foggy ones too, have over 10."""
PLAIN: Final = "0" * 16
"""The hash of a picture without structure. No other has it: half of the bits are set."""

_DCT: Final = np.cos(np.pi / (2 * SIDE) * np.arange(KEPT)[:, None] * (2 * np.arange(SIDE) + 1))
"""(KEPT, SIDE): the first rows of the DCT-II, without the scale that does not matter here."""


def phash(picture: Image.Image) -> str:
    """Return the hash as 16 hex digits; of a picture that shows nothing but one tone, `PLAIN`."""
    small = picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS, reducing_gap=3.0).convert("L")
    greys = np.asarray(small, dtype=np.float64)
    if greys.std() < LEAST_CONTRAST:
        return PLAIN
    frequencies = (_DCT @ greys @ _DCT.T).ravel()
    return np.packbits(frequencies > np.median(frequencies)).tobytes().hex()
