"""Several kinds in one picture, and where: weak localisation by a model that learnt whole pictures of one kind each.

No trained detector: nobody ever showed the model a box. A picture is looked at once, as `windows`; a linear reader says
of each window which kind it shows, or none; of windows that overlap the surest is kept. The trained head cannot be that
reader: in the maps of a larger picture a window sees its surroundings, and has other statistics than a whole picture.
So a reader of its own is learnt, by least squares, from collages of the model's own held-out pictures.
docs/decisions/ has the comparison.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tsukiji.types import Box
from tsukiji.vision.collages import make_collage
from tsukiji.vision.predictor import Floats, Predictor
from tsukiji.vision.windows import Windows, look_closely

COLLAGES: Final = 60
LEAST_PICTURES: Final = 20
"""From fewer nothing can be learnt about windows."""
INSIDE: Final = 0.45
"""A window that overlaps a picture of a collage this much (intersection over union) shows that picture."""
OUTSIDE: Final = 0.2
"""And one that overlaps none more than this shows nothing; what lies between teaches nothing."""
RIDGE: Final = 3.0
LEAST_SPREAD: Final = 0.02
KEPT_EMPTY: Final = 0.8
"""Pictures of which none of the kinds is learnt shall have no tag in so many cases."""
OVERLAP: Final = 0.35
"""Two tags share at most this much of the smaller box."""
LEAST_TAG: Final = 0.5
"""Without a reader: the probability that a window's kind needs."""
LEAST_KNOWN: Final = 0.3
"""And its known score."""

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Tag:
    """A kind in a part of a picture; the box is left, upper, right, lower in pixels of that picture."""

    label: str
    score: float
    known_score: float | None
    box: Box


@dataclass(frozen=True)
class Reader:
    """Says what windows show.

    Attributes:
        weights: (E, K + 1), for K kinds and for none of them, the last.
        offset: (K + 1,).
        margins: by how much a kind was surer than none in windows that show it, of pictures that did not teach this;
            ascending, (Q,).
        least: the margin that a tag needs.
    """

    weights: Floats
    offset: Floats
    margins: Floats
    least: float

    def read(self, embeddings: Floats) -> Floats:
        """Return estimates of the probabilities of each kind and of none, (M, K + 1), of windows (M, E)."""
        return embeddings @ self.weights + self.offset

    def known_scores(self, margins: Floats) -> Floats:
        """Return what part of held-out windows that show a kind was less sure of it."""
        places = (np.arange(len(self.margins)) + 0.5) / len(self.margins)
        return np.interp(margins, self.margins, places, left=0.0, right=1.0).astype(np.float32)


@dataclass(frozen=True)
class Seen:
    """Windows of one picture: what the network makes of each, and the number of the kind that it shows.

    Attributes:
        embeddings: (M, E).
        shows: (M,); K for none of them, -1 where that cannot be said.
    """

    embeddings: Floats
    shows: Ints
    alone: int | None = None
    """The kind of a picture that is no collage."""


def find_tags(predictor: Predictor, image: Image.Image, reader: Reader | None = None) -> list[Tag]:
    """Return the kinds in an RGB picture with their places, likeliest first; without a reader by the model's own head.

    Raises:
        GpuOutOfMemory: the picture does not fit.
    """
    return choose(predictor, look_closely(predictor, image), image.size, reader)


def choose(predictor: Predictor, windows: Windows, size: tuple[int, int], reader: Reader | None = None) -> list[Tag]:
    """Return the tags among the windows of a picture of this width and height, likeliest first."""
    scores, known, sureness = _judge(predictor, windows, reader)
    kinds = scores.argmax(axis=1)
    kept: list[int] = []
    for index in np.argsort(-sureness, kind="stable").tolist():
        if np.isfinite(sureness[index]) and not _hidden(windows.boxes[index], windows.boxes[kept]):
            kept.append(index)
    found = [
        Tag(
            label=predictor.label_names[int(kinds[index])],
            score=float(scores[index, kinds[index]]),
            known_score=None if known is None else float(known[index]),
            box=_pixels(windows.boxes[index], size),
        )
        for index in kept
    ]
    return sorted(found, key=lambda tag: -tag.score)


def learn(predictor: Predictor, pictures: Sequence[Image.Image], kinds: Sequence[int], seed: int = 0) -> Reader | None:
    """Learn how this model's windows are to be read, from RGB pictures that show one kind each, held out in training.

    `kinds` are indices into `label_names`. None where the pictures are too few or show one kind alone.
    """
    if len(pictures) < LEAST_PICTURES or len(set(kinds)) < 2:
        return None
    random, none = np.random.default_rng(seed), len(predictor.label_names)
    order = random.permutation(len(pictures))
    halves = [_look(predictor, [(pictures[n], kinds[n]) for n in half], random) for half in (order[::2], order[1::2])]
    margins: list[float] = []
    strange: list[float] = []
    for taught, others in (halves, halves[::-1]):
        weights, offset = _solve(taught, none + 1)
        for seen in others:
            margins += _margins(seen.embeddings @ weights + offset)[(seen.shows >= 0) & (seen.shows < none)].tolist()
        for kind in sorted(set(kinds)):
            strange += _highest_of_strangers(taught, others, kind, none)
    weights, offset = _solve(halves[0] + halves[1], none + 1)
    least = float(np.quantile(strange or margins, KEPT_EMPTY))
    return Reader(weights, offset, np.sort(np.array(margins, np.float32)), least)


def _look(predictor: Predictor, pictures: Sequence[tuple[Image.Image, int]], random: np.random.Generator) -> list[Seen]:
    """Return the windows of collages of these pictures, and of the pictures themselves."""
    none, images = len(predictor.label_names), [image for image, _ in pictures]
    found = []
    for number in range(COLLAGES // 2):
        ground = images[random.integers(len(images))] if number % 2 else None
        collage = make_collage(images, random, ground)
        windows = look_closely(predictor, collage.image)
        shows = np.full(len(windows.boxes), none)
        most = np.zeros(len(shows), np.float32)
        for picture, box in collage.things:
            part = _shared(windows.boxes, np.array(box, np.float32))
            shows[part > most] = pictures[picture][1]
            most = np.maximum(most, part)
        shows[(most > OUTSIDE) & (most < INSIDE)] = -1
        found.append(Seen(windows.embeddings, shows))
    for image, kind in pictures[: COLLAGES // 2]:
        windows = look_closely(predictor, image)
        whole = _shared(windows.boxes, windows.boxes[0]) >= INSIDE
        found.append(Seen(windows.embeddings, np.where(whole, kind, -1), alone=kind))
    return found


def _highest_of_strangers(taught: Sequence[Seen], others: Sequence[Seen], kind: int, none: int) -> list[float]:
    """Return the largest margin in each picture of a kind, for a reader that never learnt this kind."""
    known = [Seen(seen.embeddings, np.where(seen.shows == kind, -1, seen.shows)) for seen in taught]
    weights, offset = _solve(known, none + 1)
    return [float(_margins(seen.embeddings @ weights + offset)[1:].max()) for seen in others if seen.alone == kind]


def _solve(taught: Sequence[Seen], classes: int) -> tuple[Floats, Floats]:
    """Return weights and offset of the ridge regression onto what windows show; each class weighs the same."""
    shows = np.concatenate([seen.shows for seen in taught])
    rows = np.concatenate([seen.embeddings for seen in taught])[shows >= 0]
    shows = shows[shows >= 0]
    weight = (1 / np.bincount(shows, minlength=classes).clip(1)[shows]).astype(np.float32)
    weight /= weight.sum()
    centre, spread = weight @ rows, rows.std(axis=0) + LEAST_SPREAD
    scaled = (rows - centre) / spread
    targets = np.eye(classes, dtype=np.float32)[shows]
    prior = weight @ targets
    left = (scaled * weight[:, None]).T @ scaled + RIDGE * np.eye(scaled.shape[1], dtype=np.float32)
    right = (scaled * weight[:, None]).T @ (targets - prior)
    weights = (np.linalg.solve(left, right) / spread[:, None]).astype(np.float32)
    return weights, (prior - centre @ weights).astype(np.float32)


def _judge(predictor: Predictor, windows: Windows, reader: Reader | None) -> tuple[Floats, Floats | None, Floats]:
    """Return each window's scores (M, K), known scores (M,), and how sure its tag would be, (M,); -inf for no tag."""
    if reader is None:
        answers = predictor.conclude(windows.embeddings)
        scores, known = answers.probabilities, answers.known_scores
        sureness = scores.max(axis=1)
        good = sureness >= LEAST_TAG
        if known is not None:
            good &= known >= LEAST_KNOWN
    else:
        read = reader.read(windows.embeddings)
        margins = _margins(read)
        scores, known = read[:, :-1].clip(0, 1), reader.known_scores(margins)
        sureness, good = margins, margins >= reader.least
    good[0] = False  # all of the picture says nothing about places
    return scores, known, np.where(good, sureness, -np.inf)


def _margins(read: Floats) -> Floats:
    """Return by how much the likeliest kind is surer than none of them, (M,)."""
    found: Floats = read[:, :-1].max(axis=1) - read[:, -1]
    return found


def _area(boxes: Floats) -> Floats:
    area: Floats = (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
    return area


def _common(boxes: Floats, box: Floats) -> Floats:
    """Return the area that each box shares with one."""
    upper_left, lower_right = np.maximum(boxes[:, :2], box[:2]), np.minimum(boxes[:, 2:], box[2:])
    area: Floats = (lower_right - upper_left).clip(0).prod(axis=1)
    return area


def _shared(boxes: Floats, box: Floats) -> Floats:
    """Return the intersection over union of each box with one."""
    common = _common(boxes, box)
    return common / (_area(boxes) + _area(box) - common)


def _hidden(box: Floats, kept: Floats) -> bool:
    return bool((_common(kept, box) > OVERLAP * np.minimum(_area(kept), _area(box))).any())


def _pixels(box: Floats, size: tuple[int, int]) -> Box:
    """Return whole pixels, one at least on each side."""
    left, upper = (min(int(edge), length - 1) for edge, length in zip(box[:2], size, strict=True))
    right, lower = (min(max(round(float(edge)), 1), length) for edge, length in zip(box[2:], size, strict=True))
    return left, upper, max(right, left + 1), max(lower, upper + 1)
