"""Active learning: which unlabelled images to label first, uncertain and diverse ones. Arrays only.

BADGE (Ash, Zhang, Krishnamurthy, Langford and Agarwal, "Deep batch active learning by diverse, uncertain gradient lower
bounds", ICLR 2020): the gradient of the last layer, if the likeliest label were right, is long where the classifier is
uncertain (a small margin) and points elsewhere where the image differs; k-means++ draws images with distant gradients.
The classifier is a ridge regression on the features of the labelled images.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

CHOSEN: Final = 100
STRENGTH: Final = 0.3
"""Regularisation relative to the number of images."""
SHARPNESS: Final = 4.0
"""Scores of a regression are near 0 and 1: too close together for a softmax."""
SEED: Final = 0

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Choice:
    """An image to label; `label` is the likeliest class number, None with fewer than two known classes."""

    image: int
    label: int | None
    margin: float
    """Between the two likeliest classes, 0 to 1."""


def choose(unlabelled: NDArray[np.floating], labelled: NDArray[np.floating], classes: Ints, count: int) -> list[Choice]:
    """Return up to `CHOSEN` of the unlabelled images, the most useful first.

    Args:
        unlabelled: features (U, D).
        labelled: features (N, D).
        classes: class numbers, (N,).
        count: of the classes.
    """
    rows = unlabelled.astype(np.float64)
    if count < 2:
        return [Choice(image, None, 0.0) for image in spread(np.ones((len(rows), 1)), rows)]
    shares = predict(rows, labelled.astype(np.float64), classes, count)
    best = shares.argmax(axis=1)
    top = np.sort(shares, axis=1)[:, -2:]
    changes = shares.copy()
    changes[np.arange(len(rows)), best] -= 1
    return [Choice(image, int(best[image]), float(top[image, 1] - top[image, 0])) for image in spread(changes, rows)]


def predict(rows: Floats, labelled: Floats, classes: Ints, count: int) -> Floats:
    """Return probabilities (U, count)."""
    mean, scale = labelled.mean(axis=0), labelled.std(axis=0) + 1e-6
    known = (labelled - mean) / scale
    wanted = np.eye(count)[classes]
    base = wanted.mean(axis=0)
    gram = known.T @ known + STRENGTH * len(known) * np.eye(known.shape[1])
    scores = base + (rows - mean) / scale @ np.linalg.solve(gram, known.T @ (wanted - base))
    powers = np.exp(SHARPNESS * (scores - scores.max(axis=1, keepdims=True)))
    shares: Floats = powers / powers.sum(axis=1, keepdims=True)
    return shares


def spread(changes: Floats, rows: Floats) -> list[int]:
    """Draw images by k-means++ on the products of each one's `changes` (U, C) and features (U, D).

    The products themselves, U x C x D numbers, are never computed: their distances follow from those of their factors.
    """
    random = np.random.default_rng(SEED)
    squares = (changes**2).sum(axis=1) * (rows**2).sum(axis=1)
    distances = squares.copy()
    chosen: list[int] = []
    while len(chosen) < CHOSEN and distances.sum() > 0:
        image = int(random.choice(len(rows), p=distances / distances.sum())) if chosen else int(squares.argmax())
        chosen.append(image)
        products = (changes @ changes[image]) * (rows @ rows[image])
        distances = np.minimum(distances, squares + squares[image] - 2 * products).clip(0)
        distances[image] = 0
    return chosen
