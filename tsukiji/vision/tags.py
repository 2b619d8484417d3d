"""Several kinds in one picture, and where: weak localisation by a model that learnt whole pictures of one kind each.

No trained detector: nobody ever showed the model a box. A picture is looked at once, as `windows`; a linear reader says
of each window which kind it shows, or none; of windows that overlap the surest is kept. The trained head cannot be that
reader: in the maps of a larger picture a window sees its surroundings, and has other statistics than a whole picture.
So a reader of its own is learnt (`reading`) from collages of the model's own pictures. docs/decisions/ has the
comparison.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image

from tsukiji.types import Box
from tsukiji.vision.predictor import Floats, Predictor
from tsukiji.vision.windows import Windows, look_closely

OVERLAP: Final = 0.35
"""Two tags share at most this much of the smaller box."""
LEAST_TAG: Final = 0.5
"""Without a reader: the probability that a window's kind needs."""
LEAST_KNOWN: Final = 0.3
"""And its known score."""


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
        margins = margins_of(read)
        scores, known = read[:, :-1].clip(0, 1), reader.known_scores(margins)
        sureness, good = margins, margins >= reader.least
    good[0] = False  # all of the picture says nothing about places
    return scores, known, np.where(good, sureness, -np.inf)


def margins_of(read: Floats) -> Floats:
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


def shared(boxes: Floats, box: Floats) -> Floats:
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
