"""Labels of pictures as numbers, in the order of the run's label names."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.run import Run

Ints = NDArray[np.int64]
Sets = NDArray[np.bool_]

UNEVEN: Final = 2.0
"""`class_weights: auto` applies if the largest class has more than this many times the images of the smallest."""
HEAVIEST: Final = 10.0
"""Upper bound of a rare label's weight relative to the most frequent one's: otherwise the network overfits its few
images."""


def classes_of(run: Run, indices: Sequence[int]) -> Ints:
    """Return the class numbers (N,) of single-label images."""
    numbers = {label: number for number, label in enumerate(run.label_names)}
    return np.array([numbers[run.images[index].label] for index in indices], np.int64)


def sets_of(run: Run, indices: Sequence[int]) -> Sets:
    """Return the labels of images, (N, C)."""
    return as_sets([run.images[index].labels for index in indices], run.label_names)


def as_sets(labels: Sequence[Sequence[str]], label_names: Sequence[str]) -> Sets:
    """Return sets of labels as rows (N, C)."""
    numbers = {label: number for number, label in enumerate(label_names)}
    sets = np.zeros((len(labels), len(label_names)), np.bool_)
    for row, names in zip(sets, labels, strict=True):
        row[[numbers[name] for name in names]] = True
    return sets


def weights_of(run: Run) -> NDArray[np.float32] | None:
    """Return n / (classes * n of the class) for each class, (C,); mean 1 over images. None for equal weights.

    In multi-label data a label's weight applies to its presence and its absence alike, mean 1 over labels and bounded.
    Weighting presence alone (`pos_weight`) would make rare labels look likelier than they are, each by another factor,
    which one temperature cannot correct; thresholds make sure that they are predicted often enough.
    """
    several = run.kind == "multi_label"
    counts = sets_of(run, run.of_split("train")).sum(axis=0).astype(np.float32)
    if several:
        counts = counts.clip(min=counts.max() / HEAVIEST)
    weigh = run.recipe.class_weights
    if weigh == "none" or (weigh == "auto" and counts.max() <= UNEVEN * counts.min()):
        return None
    weights: NDArray[np.float32] = counts.sum() / (len(counts) * counts)
    return weights / weights.mean() if several else weights
