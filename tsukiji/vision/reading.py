"""Learning to read a model's windows: ridge regression on collages of the pictures that the model learnt from.

Each window of a collage shows one of the pictures, or none of them; pictures whose parts are shuffled show none of the
kinds. How sure a tag must be comes from pictures of a kind that the reader was not told of.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tsukiji.vision.collages import Collage, make_collage, shuffled
from tsukiji.vision.predictor import Floats, Predictor
from tsukiji.vision.tags import Reader, margins_of, shared
from tsukiji.vision.windows import look_closely

HELD_OUT_COLLAGES: Final = 40
LEARNT_COLLAGES: Final = 150
ALONE: Final = 60
"""So many held-out pictures are looked at by themselves, too, to find how sure a tag must be."""
WINDOWS: Final = 80
"""So many windows of each collage teach, at most."""
SHUFFLED: Final = 3
"""One in so many pictures of a collage is shuffled."""
LEAST_PICTURES: Final = 20
"""From fewer held-out ones nothing can be learnt about windows."""
INSIDE: Final = 0.45
"""A window that overlaps a picture of a collage this much (intersection over union) shows that picture."""
OUTSIDE: Final = 0.2
"""And one that overlaps none more than this shows nothing; what lies between teaches nothing."""
RIDGE: Final = 3.0
LEAST_SPREAD: Final = 0.02
STRANGE_KINDS: Final = 10
"""So many kinds are left out in turn, at most."""
KEPT_EMPTY: Final = 0.7
"""Pictures of a kind that was left out shall have no tag in so many cases. They resemble the other kinds more than
pictures of anything do, of which about 0.8 have none then."""

Ints = NDArray[np.int64]
Example = tuple[Image.Image, int]
"""An RGB picture that shows one kind, and the kind's place in `label_names`."""


@dataclass(frozen=True)
class Seen:
    """Windows of one picture: what the network makes of each, and which kind it shows.

    Attributes:
        rows: (M, E).
        shows: (M,); K for none of them, -1 where that cannot be said.
        alone: the kind of a picture that is no collage.
    """

    rows: Floats
    shows: Ints
    alone: int | None = None


def learn(
    predictor: Predictor, held_out: Sequence[Example], learnt: Sequence[Example] = (), seed: int = 0
) -> Reader | None:
    """Return the reader of a model's windows; None where held-out examples are too few or show one kind alone.

    Those that the model learnt from teach too; how sure a tag must be is measured on held-out ones only, by readers
    that never saw them.
    """
    kinds = sorted({kind for _, kind in held_out})
    if len(held_out) < LEAST_PICTURES or len(kinds) < 2:
        return None
    random, none = np.random.default_rng(seed), len(predictor.label_names)
    order = random.permutation(len(held_out))
    halves = [_look(predictor, [held_out[n] for n in part], random) for part in (order[::2], order[1::2])]
    more = [_look_at(predictor, learnt, random, number) for number in range(LEARNT_COLLAGES if learnt else 0)]
    scale = Scale.of([*halves[0], *halves[1], *more])
    margins: list[float] = []
    strange: list[float] = []
    for taught, others in (halves, halves[::-1]):
        school = School.of(scale, [*taught, *more], none)
        weights, offset = school.solve()
        for seen in others:
            margins += margins_of(seen.rows @ weights + offset)[(seen.shows >= 0) & (seen.shows < none)].tolist()
        for kind in kinds[:: -(-len(kinds) // STRANGE_KINDS)]:
            weights, offset = school.solve(without=kind)
            found = [margins_of(seen.rows @ weights + offset)[1:].max() for seen in others if seen.alone == kind]
            strange += [float(margin) for margin in found]
    weights, offset = School.of(scale, [*halves[0], *halves[1], *more], none).solve()
    least = float(np.quantile(strange or margins, KEPT_EMPTY))
    return Reader(weights, offset, np.sort(np.array(margins, np.float32)), least)


def _look(predictor: Predictor, examples: Sequence[Example], random: np.random.Generator) -> list[Seen]:
    """Return the windows of collages of these pictures, and of some pictures themselves."""
    found = [_look_at(predictor, examples, random, number) for number in range(HELD_OUT_COLLAGES // 2)]
    for image, kind in examples[: ALONE // 2]:
        windows = look_closely(predictor, image)
        found.append(Seen(windows.embeddings, np.full(len(windows.boxes), -1), kind))  # teaches nothing
    return found


def _look_at(predictor: Predictor, examples: Sequence[Example], random: np.random.Generator, number: int) -> Seen:
    """Return the windows of one collage; every other one is made on a picture."""
    none = len(predictor.label_names)
    pool = [examples[n] for n in random.integers(len(examples), size=2 * SHUFFLED).tolist()]
    pool = [
        (shuffled(image, random), none) if n % SHUFFLED == 0 else (image, kind) for n, (image, kind) in enumerate(pool)
    ]
    ground = examples[int(random.integers(len(examples)))][0] if number % 2 else None
    collage = make_collage([image for image, _ in pool], random, ground)
    windows = look_closely(predictor, collage.image)
    return _some(Seen(windows.embeddings, _shows(windows.boxes, collage, [kind for _, kind in pool], none)), random)


def _shows(boxes: Floats, collage: Collage, kinds: Sequence[int], none: int) -> Ints:
    """Return what each window of a collage shows."""
    shows, most = np.full(len(boxes), none), np.zeros(len(boxes), np.float32)
    for number, box in collage.things:
        part = shared(boxes, np.array(box, np.float32))
        shows[part > most] = kinds[number]
        most = np.maximum(most, part)
    shows[(most > OUTSIDE) & (most < INSIDE)] = -1
    return shows


def _some(seen: Seen, random: np.random.Generator) -> Seen:
    """Keep what a few windows show; of the others nothing is said."""
    sure = random.permutation(np.flatnonzero(seen.shows >= 0))[WINDOWS:]
    shows = seen.shows.copy()
    shows[sure] = -1
    return Seen(seen.rows, shows, seen.alone)


@dataclass(frozen=True)
class Scale:
    """The means of rows, and their spread; (E,)."""

    centre: Floats
    spread: Floats

    @classmethod
    def of(cls, seen: Sequence[Seen]) -> "Scale":
        rows = np.concatenate([one.rows[one.shows >= 0] for one in seen])
        return cls(rows.mean(axis=0), rows.std(axis=0) + np.float32(LEAST_SPREAD))


@dataclass(frozen=True)
class School:
    """What a regression needs of the rows that teach it, scaled, each class with the same weight.

    Attributes:
        scale: of the rows.
        rows: (N, E), scaled.
        shows: (N,).
        products: of the rows with themselves, (E, E), divided by the number of rows of their class.
        classes: K + 1.
    """

    scale: Scale
    rows: Floats
    shows: Ints
    products: Floats
    classes: int

    @classmethod
    def of(cls, scale: Scale, seen: Sequence[Seen], none: int) -> "School":
        shows = np.concatenate([one.shows[one.shows >= 0] for one in seen])
        rows = np.concatenate([one.rows[one.shows >= 0] for one in seen])
        rows = (rows - scale.centre) / scale.spread
        weight = (1 / np.bincount(shows, minlength=none + 1).clip(1)[shows]).astype(np.float32)
        return cls(scale, rows, shows, (rows * weight[:, None]).T @ rows, none + 1)

    def solve(self, without: int | None = None) -> tuple[Floats, Floats]:
        """Return weights (E, K + 1) and offset (K + 1,) for rows that are not scaled; a class may be left out."""
        kinds = [kind for kind in np.unique(self.shows).tolist() if kind != without]
        products, share = self.products, np.float32(1 / len(kinds))
        if without is not None and (own := self.rows[self.shows == without]).size:
            products = products - own.T @ own / len(own)
        targets = np.full((len(kinds), self.classes), -share, np.float32)
        targets[np.arange(len(kinds)), kinds] += 1
        means = np.stack([self.rows[self.shows == kind].mean(axis=0) for kind in kinds])
        centre = means.mean(axis=0)
        left = products * share - np.outer(centre, centre) + RIDGE * np.eye(len(products), dtype=np.float32)
        right = (means - centre).T @ targets * share
        weights: Floats = np.linalg.solve(left, right).astype(np.float32) / self.scale.spread[:, None]
        return weights, (share - (self.scale.centre + centre * self.scale.spread) @ weights).astype(np.float32)
