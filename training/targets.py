"""Pictures' labels as numbers, in the order of the run's label names. Knows no network and no pixels."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from training.run import Run

Ints = NDArray[np.int64]
Sets = NDArray[np.bool_]


def classes_of(run: Run, indices: Sequence[int]) -> Ints:
    """Return the class numbers (N,) of images that have one label each."""
    numbers = {label: number for number, label in enumerate(run.label_names)}
    return np.array([numbers[run.images[index].label] for index in indices], np.int64)


def sets_of(run: Run, indices: Sequence[int]) -> Sets:
    """Return which labels images have, (N, C)."""
    return as_sets([run.images[index].labels for index in indices], run.label_names)


def as_sets(labels: Sequence[Sequence[str]], label_names: Sequence[str]) -> Sets:
    """Return sets of labels as rows (N, C)."""
    numbers = {label: number for number, label in enumerate(label_names)}
    sets = np.zeros((len(labels), len(label_names)), np.bool_)
    for row, names in zip(sets, labels, strict=True):
        row[[numbers[name] for name in names]] = True
    return sets
