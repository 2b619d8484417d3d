"""Is this one of the kinds that the model knows? By its nearest neighbours among what the model learnt.

Deep nearest neighbours (Sun, Ming, Zhu and Li, "Out-of-distribution detection with deep nearest neighbors", ICML 2022):
cosine similarity to the k-th nearest pictures that were learnt, here the mean of the k nearest. docs/decisions/ has the
comparison with the other published methods. Knows no network and no torch.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from tsukiji.errors import PackageInvalid
from tsukiji.vision.shapes import BANK_IMAGES, SCORES

NEIGHBOURS: Final = 5
BLOCK: Final = 1024

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Known:
    """Statistics of what a model learnt.

    Attributes:
        bank: what some of the learnt pictures look like, shape (M, D), each row of length 1.
        held_out: similarities of pictures of these kinds that were not learnt, ascending, shape (Q,), Q >= 1.
    """

    bank: Floats
    held_out: Floats

    @property
    def bytes(self) -> int:
        return self.bank.nbytes + self.held_out.nbytes

    def scores(self, vectors: Floats) -> Floats:
        """Return known scores (N,) of vectors (N, D): what part of the held-out pictures is less similar, 0 to 1.

        So a threshold t turns away about t of the pictures of known kinds, whatever the model.
        """
        places = (np.arange(len(self.held_out)) + 0.5) / len(self.held_out)
        found = np.interp(self.similarities(vectors), self.held_out, places, left=0.0, right=1.0)
        return found.astype(np.float32)

    def similarities(self, vectors: Floats) -> Floats:
        """Return the mean cosine similarity (N,) to the nearest of the bank."""
        return nearest(normalised(vectors), self.bank)


def fit(learnt: Floats, held_out: Floats) -> Known:
    """Return the statistics of learnt vectors (M, D) and held-out ones (N, D) of the same kinds, N and M >= 1.

    A large bank is thinned out evenly, in its order.
    """
    bank = normalised(learnt)[:: -(-len(learnt) // BANK_IMAGES)].astype(np.float16).astype(np.float32)
    found = np.sort(nearest(normalised(held_out), bank))
    if len(found) > SCORES:
        found = np.quantile(found, np.linspace(0, 1, SCORES))
    return Known(bank, found.astype(np.float32))


def nearest(vectors: Floats, bank: Floats) -> Floats:
    """Return the mean of each vector's largest products with the bank's rows, shape (N,)."""
    count = min(NEIGHBOURS, len(bank))
    rows = [
        np.partition(vectors[start : start + BLOCK] @ bank.T, -count, axis=1)[:, -count:].mean(axis=1)
        for start in range(0, len(vectors), BLOCK)
    ]
    found: Floats = np.concatenate([np.empty(0, np.float32), *rows]).astype(np.float32)
    return found


def normalised(vectors: Floats) -> Floats:
    """Return the rows at length 1; a row of zeros stays as it is."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    rows: Floats = (vectors / np.maximum(lengths, np.finfo(np.float32).tiny)).astype(np.float32)
    return rows


def save(known: Known, path: Path) -> None:
    save_file({"bank": known.bank.astype(np.float16), "held_out": known.held_out}, path)


def load(path: Path, dimensions: int) -> Known:
    """Read what `save` wrote.

    Raises:
        PackageInvalid: it is damaged, or was made for another network.
    """
    try:
        found = load_file(path)
        bank, held_out = found["bank"].astype(np.float32), found["held_out"].astype(np.float32)
    except (OSError, SafetensorError, KeyError, TypeError) as error:
        raise PackageInvalid(f"{path.name} cannot be read: {error}") from error
    if bank.ndim != 2 or bank.shape[1] != dimensions or held_out.ndim != 1 or 0 in (len(bank), len(held_out)):
        raise PackageInvalid(f"{path.name} does not fit the network: {bank.shape}, {held_out.shape}.")
    if not np.isfinite(bank).all() or not np.isfinite(held_out).all() or (np.diff(held_out) < 0).any():
        raise PackageInvalid(f"{path.name} holds values that cannot be.")
    return Known(bank, held_out)
