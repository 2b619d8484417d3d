"""Decides whether two pictures are copies, for analyses, which report copies, and splits, which keep them together.
Pairs are proposed by similar hashes; comparing their miniatures decides.

How similar two different pictures may be depends on the data set: photos hardly at all, digits and screenshots very. So
the threshold is derived from random pairs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tsukiji.curation.duplicates import Hashes, Numbers, unite
from tsukiji.vision.likeness import LEAST, likeness
from tsukiji.vision.miniature import BYTES, Miniatures

LOWEST: Final = 0.92
"""Threshold where different pictures are dissimilar. Planted copies reach 0.934."""
HIGHEST: Final = 0.983
"""Threshold where different pictures are similar. Uncropped copies reach 0.985 even of screenshots."""
SPREADS: Final = 4.5
"""Threshold above the median of random pairs, in distances from the median to their 95th percentile."""
SAMPLE: Final = 64
OFFSETS: Final = 6
ENOUGH: Final = 100
"""Random pairs needed to tell how similar different pictures are."""
APART: Final = 6
"""Random pairs with hashes this close may be copies, and are left out."""
RELATED: Final = 0.5
"""Likeness of the first pictures of two groups from which a copy in both merges them."""
MARGIN: Final = 5
"""Tolerance before a pair is fitted, as a multiple of the tolerance afterwards."""
PAIRS: Final = 64
PAIRS_READ: Final = 4096

Floats = NDArray[np.float32]
Pairs = NDArray[np.intp]
"""Pairs of positions, (P, 2)."""
Read = Callable[[Sequence[str]], Mapping[str, bytes]]
"""From ids of images to their miniatures; images without one are omitted."""


def nothing() -> None:
    """The default `check`, which never stops."""


@dataclass
class Copies:
    """Decides which pictures are copies of each other; compares each pair at most once.

    Attributes:
        ids: of the images; pairs are positions among these.
        names: sha256 of their bytes, so that sampling depends on content, not on order.
        hashes: of the whole pictures, (N,).
        read: source of miniatures.
        unseen: whether pairs count as copies if one has no miniature.
        most: most pairs to compare; further ones count as different pictures.
        chained: whether copies of copies may form one group, however dissimilar they are.
        check: called regularly; raises to stop.
    """

    ids: Sequence[str]
    names: Sequence[str]
    hashes: Hashes
    read: Read
    unseen: bool = False
    most: int | None = None
    chained: bool = False
    check: Callable[[], None] = nothing
    _different: set[tuple[int, int]] = field(default_factory=set)
    _looks: int = 0

    def settle(self, roots: Numbers, pairs: Pairs, places: Numbers | None = None) -> tuple[Pairs, Floats]:
        """Merge the groups of copies in `roots`, in place; return the pairs of copies, with their likeness.

        Pairs in the same group already are skipped.

        Args:
            roots: the group of each place, as in `tsukiji.curation.duplicates.unite`.
            pairs: of places, the most promising first.
            places: the position of each place; by default they are the same.
        """
        kept, found = [np.empty((0, 2), np.intp)], [np.empty(0, np.float32)]
        for start in range(0, len(pairs), PAIRS_READ):
            part = self._open(roots, pairs[start : start + PAIRS_READ], places)
            known = self._miniatures(part if places is None else places[part])
            for first in range(0, len(part), PAIRS):
                self.check()
                few = self._open(roots, part[first : first + PAIRS], places)
                alike = self._judge(few if places is None else places[few], known)
                few, alike = few[alike > 0], alike[alike > 0]
                joined = self._join(roots, few, places)
                kept.append(few[joined])
                found.append(alike[joined])
        return np.concatenate(kept), np.concatenate(found)

    def _open(self, roots: Numbers, pairs: Pairs, places: Numbers | None) -> Pairs:
        """Return the pairs not compared yet."""
        pairs = pairs[roots[pairs[:, 0]] != roots[pairs[:, 1]]]
        positions: Pairs = pairs if places is None else places[pairs]
        fresh = [tuple(sorted(pair)) not in self._different for pair in positions.tolist()]
        still_open: Pairs = pairs[np.array(fresh, bool)]
        return still_open

    def _judge(self, pairs: Pairs, known: Mapping[int, NDArray[np.uint8]]) -> Floats:
        """Return the likeness of pairs of positions that are copies, 0 for others."""
        alike = np.full(len(pairs), float(self.unseen), np.float32)
        seen = [row for row, (one, other) in enumerate(pairs.tolist()) if one in known and other in known]
        if self.most is not None:
            alike[seen[max(0, self.most - self._looks) :]] = 0
            seen = seen[: max(0, self.most - self._looks)]
        self._looks += len(seen)
        if seen:
            least = max(LEAST, 1 - MARGIN * (1 - self.wanted))
            found = likeness(*_sides(known, pairs[seen]), least, self.wanted)
            alike[seen] = np.where(found >= self.wanted, found, 0)
        self._different.update((min(pair), max(pair)) for pair in pairs[alike == 0].tolist())
        return alike

    def _join(self, roots: Numbers, pairs: Pairs, places: Numbers | None) -> NDArray[np.bool_]:
        """Merge the groups of pairs of copies; return which pairs are in one group then.

        Unless chaining is allowed, the first pictures of both groups must be similar too: a chain of copies could lead
        anywhere. Each group is merged with one other at a time.
        """
        if self.chained:
            unite(roots, *pairs.T)
            return np.ones(len(pairs), bool)
        left = list(range(len(pairs)))
        while left:
            firsts = np.sort(roots[pairs[left]], axis=1)
            used: set[int] = set()
            chosen: list[int] = []
            for row, two in enumerate(firsts.tolist()):
                if two[0] != two[1] and used.isdisjoint(two):
                    used.update(two)
                    chosen.append(row)
            related = self._related(firsts[chosen] if places is None else places[firsts[chosen]])
            unite(roots, *firsts[chosen][related].T)
            left = [
                pair for row, pair in enumerate(left) if row not in set(chosen) and firsts[row, 0] != firsts[row, 1]
            ]
        joined: NDArray[np.bool_] = roots[pairs[:, 0]] == roots[pairs[:, 1]]
        return joined

    def _related(self, pairs: Pairs) -> NDArray[np.bool_]:
        """Return for which pairs (P, 2) of positions the pictures are similar."""
        known, alike = self._miniatures(pairs), np.ones(len(pairs), bool)
        seen = [row for row, (one, other) in enumerate(pairs.tolist()) if one in known and other in known]
        if seen:
            alike[seen] = likeness(*_sides(known, pairs[seen]), LEAST, RELATED) >= RELATED
        return alike

    def _miniatures(self, pairs: Pairs) -> dict[int, NDArray[np.uint8]]:
        positions = np.unique(pairs).tolist()
        found = self.read([self.ids[number] for number in positions])
        return {n: np.frombuffer(found[self.ids[n]], np.uint8) for n in positions if self.ids[n] in found}

    @cached_property
    def wanted(self) -> float:
        """The likeness from which two pictures of this data set count as copies."""
        sample = np.array(sorted(range(len(self.ids)), key=self.names.__getitem__)[:SAMPLE], np.intp)
        pairs = np.concatenate([np.stack([sample, np.roll(sample, step)], axis=1) for step in range(1, OFFSETS + 1)])
        pairs = pairs[np.bitwise_count(self.hashes[pairs[:, 0]] ^ self.hashes[pairs[:, 1]]) > APART]
        known = self._miniatures(pairs)
        pairs = pairs[[one in known and other in known for one, other in pairs.tolist()]]
        return wanted_likeness(*_sides(known, pairs))


def wanted_likeness(left: Miniatures, right: Miniatures) -> float:
    """Return the threshold of likeness, given random pairs (P, BYTES) of different pictures."""
    if len(left) < ENOUGH:
        return LOWEST
    parts = range(0, len(left), PAIRS)
    found = np.concatenate([likeness(left[start : start + PAIRS], right[start : start + PAIRS]) for start in parts])
    middle, high = np.arctanh(np.percentile(found.clip(0, 0.999), (50, 95)))  # Fisher's z
    return float(np.tanh(middle + SPREADS * (high - middle)).clip(LOWEST, HIGHEST))


def _sides(known: Mapping[int, NDArray[np.uint8]], pairs: Pairs) -> tuple[Miniatures, Miniatures]:
    """Return the miniatures of both sides of pairs."""
    left, right = (np.array([known[n] for n in side], np.uint8).reshape(-1, BYTES) for side in pairs.T.tolist())
    return left, right
