"""Detects pictures of unknown kinds by their distance from the class means of the training pictures.

Mahalanobis distance on features of unit length (Mueller and Hein, "Mahalanobis++", ICML 2025) with a shrunk covariance
within the classes (Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance matrices", 2004).
Older packages contain nearest neighbours instead, and still work. docs/decisions/ has the comparison. Knows no network
and no torch.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from tsukiji.errors import PackageInvalid

NEIGHBOURS: Final = 5
BLOCK: Final = 1024

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Known(ABC):
    """Statistics of the training pictures.

    Attributes:
        held_out: similarities of held-out pictures of the same kinds, ascending, shape (Q,), Q >= 1.
    """

    held_out: Floats

    def scores(self, vectors: Floats) -> Floats:
        """Return known scores (N,) of vectors (N, D): the fraction of held-out pictures that are less similar, 0 to 1.

        So a threshold t rejects about t of the pictures of known kinds, for every model.
        """
        places = (np.arange(len(self.held_out)) + 0.5) / len(self.held_out)
        found = np.interp(self.similarities(vectors), self.held_out, places, left=0.0, right=1.0)
        return found.astype(np.float32)

    def similarities(self, vectors: Floats) -> Floats:
        """Return the similarity of vectors (N, D) to the training pictures, (N,); comparable within one model only."""
        blocks = [self._compare(vectors[start : start + BLOCK]) for start in range(0, len(vectors), BLOCK)]
        return np.concatenate([np.empty(0, np.float32), *blocks])

    @property
    @abstractmethod
    def bytes(self) -> int:
        """Memory of the statistics."""

    @abstractmethod
    def _compare(self, vectors: Floats) -> Floats: ...


@dataclass(frozen=True)
class Means(Known):
    """The mean of each class, and a shared covariance.

    Attributes:
        middle: the first `middle` of the D features are means of earlier maps, the others of the last ones.
        scales: factor of each feature that evens out their variances, (1, D).
        means: scaled, of C classes, (C, D).
        axes: A, shape (R, D), such that the inverse of the covariance is I - A'A, up to a factor.
    """

    middle: int
    scales: Floats
    means: Floats
    axes: Floats

    def distances(self, vectors: Floats) -> Floats:
        """Return squared Mahalanobis distances (N, C), up to a factor, of vectors (N, D) to the means."""
        projected = np.zeros((len(vectors), len(self.axes) + len(self.means)), np.float32)
        lengths = np.zeros(len(vectors), np.float32)
        for part in (slice(None, self.middle), slice(self.middle, None)):
            # Scaled to length 1, as `unit_parts` does, after the products: these are much smaller than the vectors.
            plain, scaled = (np.square(vectors[:, part]) @ self._squared[part]).T
            factors = 1 / np.maximum(np.sqrt(plain), np.finfo(np.float32).tiny)
            projected += vectors[:, part] @ self._projection[part] * factors[:, None]
            lengths += scaled * factors * factors
        along, products = np.split(projected, [len(self.axes)], axis=1)
        means_along, means_lengths = self._of_means
        products = products - along @ means_along.T
        return np.asarray((lengths - squares(along))[:, None] - 2 * products + means_lengths, np.float32)

    @cached_property
    def _projection(self) -> Floats:
        """From unit vectors to their coordinates along the axes, and their products with the means, (D, R + C)."""
        return np.ascontiguousarray((np.concatenate([self.axes, self.means]) * self.scales).T)

    @cached_property
    def _squared(self) -> Floats:
        """The factors of squared features in the plain and in the scaled squared length, (D, 2)."""
        return np.stack([np.ones_like(self.scales[0]), np.square(self.scales[0])], axis=1)

    @cached_property
    def _of_means(self) -> tuple[Floats, Floats]:
        """Their coordinates along the axes (C, R), and their squared lengths (C,)."""
        along: Floats = self.means @ self.axes.T
        return along, squares(self.means) - squares(along)

    def _compare(self, vectors: Floats) -> Floats:
        nearest: Floats = -self.distances(vectors).min(axis=1)
        return nearest

    @property
    def bytes(self) -> int:
        return sum(array.nbytes for array in (self.scales, self.means, self.axes, self.held_out))


@dataclass(frozen=True)
class Neighbours(Known):
    """The statistics of older packages: the mean cosine similarity to the nearest training pictures.

    Sun, Ming, Zhu and Li, "Out-of-distribution detection with deep nearest neighbors", ICML 2022.

    Attributes:
        bank: features of some of those pictures, shape (M, D), each row of length 1.
    """

    bank: Floats

    def _compare(self, vectors: Floats) -> Floats:
        count = min(NEIGHBOURS, len(self.bank))
        products = normalised(vectors) @ self.bank.T
        nearest: Floats = np.partition(products, -count, axis=1)[:, -count:].mean(axis=1)
        return nearest

    @property
    def bytes(self) -> int:
        return self.bank.nbytes + self.held_out.nbytes


def unit_parts(vectors: Floats, middle: int) -> Floats:
    """Return vectors (N, D) with each of their two parts scaled to length 1."""
    return np.concatenate([normalised(vectors[:, :middle]), normalised(vectors[:, middle:])], axis=1)


def normalised(vectors: Floats) -> Floats:
    """Return the rows scaled to length 1; zero rows are unchanged."""
    lengths = np.sqrt(squares(vectors))[:, None]
    rows: Floats = (vectors / np.maximum(lengths, np.finfo(np.float32).tiny)).astype(np.float32)
    return rows


def squares(rows: Floats) -> Floats:
    """Return the squared lengths (N,) of rows (N, D)."""
    found: Floats = np.einsum("nd,nd->n", rows, rows)
    return found


def save(known: Means, path: Path) -> None:
    parts = {"scales": known.scales, "means": known.means, "axes": known.axes}
    save_file({name: part.astype(np.float16) for name, part in parts.items()} | {"held_out": known.held_out}, path)


def load(path: Path, middle: int, features: int) -> Known:
    """Read a file from `save`, of this or an older version.

    Args:
        path: the file.
        middle: channels of the network's earlier maps.
        features: channels of its last maps.

    Raises:
        PackageInvalid: it is damaged, or belongs to another network.
    """
    try:
        arrays = {name: array.astype(np.float32) for name, array in load_file(path).items()}
        known = Neighbours(**arrays) if "bank" in arrays else Means(middle=middle, **arrays)
    except (OSError, SafetensorError, TypeError) as error:
        raise PackageInvalid(f"{path.name} cannot be read: {error}") from error
    held_out = arrays.pop("held_out")
    shapes = {name: array.shape for name, array in arrays.items()}
    fits = all(len(shape) == 2 and shape[0] and shape[1] == middle + features for shape in shapes.values())
    if not fits or len(arrays.get("scales", [0])) != 1 or held_out.ndim != 1 or not len(held_out):
        raise PackageInvalid(f"{path.name} does not fit the network: {shapes}, {held_out.shape}.")
    if not all(np.isfinite(array).all() for array in (held_out, *arrays.values())) or (np.diff(held_out) < 0).any():
        raise PackageInvalid(f"{path.name} contains impossible values.")
    return known
