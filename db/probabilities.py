"""All probabilities of one image as bytes: float32 for few labels, float16 for many."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

EXACT_LABELS: Final = 50
"""Up to this many labels float32 is stored: a row is small beside its indexes anyway."""


def narrow(probabilities: bytes | None) -> bytes | None:
    """Return the stored form of little-endian float32; with many labels at a relative error of up to 0.0005."""
    if probabilities is None or len(probabilities) <= 4 * EXACT_LABELS:
        return probabilities
    return np.frombuffer(probabilities, "<f4").astype("<f2").tobytes()


def rounded(values: NDArray[np.float32], labels: int) -> NDArray[np.float32]:
    """Return probabilities of `labels` labels with the precision of the stored form."""
    return values if labels <= EXACT_LABELS else values.astype("<f2").astype(np.float32)


def read(kept: bytes | None, labels: int) -> NDArray[np.float32]:
    """Return the probabilities of `labels` labels, in order; the number of bytes tells the precision."""
    data = kept or b""
    form = "<f2" if labels and len(data) == 2 * labels else "<f4"
    return np.frombuffer(data, form).astype(np.float32)
