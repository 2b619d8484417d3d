"""All probabilities of one image as bytes: float32 where labels are few, float16 where they are many."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

EXACT_LABELS: Final = 50
"""Up to so many labels a row is small beside its indexes, and stays float32."""


def narrow(probabilities: bytes | None) -> bytes | None:
    """Return what a row keeps of float32, little-endian: a relative error of 0.0005 at most where labels are many."""
    if probabilities is None or len(probabilities) <= 4 * EXACT_LABELS:
        return probabilities
    return np.frombuffer(probabilities, "<f4").astype("<f2").tobytes()


def read(kept: bytes | None, labels: int) -> NDArray[np.float32]:
    """Return the probabilities of so many labels, in their order; the length of the bytes says how they were kept."""
    data = kept or b""
    form = "<f2" if labels and len(data) == 2 * labels else "<f4"
    return np.frombuffer(data, form).astype(np.float32)
