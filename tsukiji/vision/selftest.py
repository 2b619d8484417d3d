"""Self-test: a package must give the same results for its example images as where it was made."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from tsukiji.errors import ImageError, PackageInvalid
from tsukiji.vision.decoding.decode import decode
from tsukiji.vision.package import Example
from tsukiji.vision.predictor import Predictor

TOLERANCE: Final = 1e-3
"""Of a probability: other processors and PyTorch versions sum in another order."""


def try_out(folder: Path, examples: Sequence[Example]) -> str:
    """Return the result in a sentence.

    Raises:
        PackageInvalid: the package cannot be loaded, or gives other results.
    """
    predictor = Predictor.load(folder, "cpu")
    try:
        images = [decode((folder / example.file).read_bytes()) for example in examples]
    except ImageError as error:
        raise PackageInvalid(f"An example image cannot be opened: {error.detail}") from error
    expected = np.array([example.probabilities for example in examples], np.float32)
    differences = np.abs(predictor.predict(images) - expected).max(axis=1)
    worst = int(differences.argmax())
    if not differences[worst] <= TOLERANCE:  # also catches NaN
        raise PackageInvalid(
            f"It answers differently than where it was made: for {examples[worst].file} a probability differs by "
            f"{differences[worst]:.3g}; up to {TOLERANCE:g} is rounding."
        )
    return f"{len(examples)} example images answered as recorded (largest difference {differences[worst]:.1e})"
