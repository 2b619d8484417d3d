"""Several kinds in one picture, and where: weak localisation by a model that learnt whole pictures of one kind each.

No trained detector: nobody ever showed the model a box. A picture is looked at once, as `windows`, and a linear reader
(`reading`) says where something known may be; the few likeliest places are cut from the picture and classified as any
picture is, and what is neither probable nor like what the model learnt is no tag. docs/decisions/ has the comparison.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image

from tsukiji.types import Box
from tsukiji.vision.predictor import Answers, Floats, Predictor
from tsukiji.vision.windows import Windows, look_closely

PLACES: Final = 3
"""So many places are looked at properly. Each costs a plain pass, and is one more chance to be wrong."""
OVERLAP: Final = 0.35
"""Two tags share at most this much of the smaller box."""
LEAST_SURE: Final = 0.53
"""How sure a tag must be: of photos of other things about 80% have none then (`bench.many_kinds`)."""
KNOWN_POWER: Final = 0.3
"""Sureness is the probability times the known score to this power: the score of a part of a picture is lower than that
of a whole one, and counts less."""


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
    """

    weights: Floats
    offset: Floats

    def margins(self, embeddings: Floats) -> Floats:
        """Return by how much the likeliest kind is surer than none of them, (M,), in windows (M, E)."""
        read = embeddings @ self.weights + self.offset
        found: Floats = read[:, :-1].max(axis=1) - read[:, -1]
        return found


def find_tags(predictor: Predictor, image: Image.Image, reader: Reader | None = None) -> list[Tag]:
    """Return the kinds in an RGB picture with their places, likeliest first.

    Args:
        predictor: the model; one of several labels says each place's likeliest.
        image: of any size and proportions.
        reader: says which places are looked at properly; without one, by the model's own head on windows.

    Raises:
        GpuOutOfMemory: the picture does not fit.
    """
    boxes = [to_pixels(box, image.size) for box in propose(predictor, look_closely(predictor, image), reader)]
    return choose(predictor, boxes, predictor.answer([image.crop(box) for box in boxes]))


def propose(predictor: Predictor, windows: Windows, reader: Reader | None = None) -> Floats:
    """Return the boxes of the windows that most likely show something known, (n, 4), n <= PLACES."""
    if reader is None:
        promise = predictor.conclude(windows.embeddings).probabilities.max(axis=1)
    else:
        promise = reader.margins(windows.embeddings)
    boxes = windows.boxes[1:]  # all of the picture says nothing about places
    return boxes[apart(boxes, promise[1:], PLACES)]


def choose(predictor: Predictor, boxes: Sequence[Box], answers: Answers) -> list[Tag]:
    """Return the tags among parts of a picture, each with what the model says of it, likeliest first."""
    scores, known = answers.probabilities.max(axis=1), answers.known_scores
    sureness = scores if known is None else scores * known**KNOWN_POWER
    kept = apart(np.array(boxes, np.float32).reshape(-1, 4), sureness)
    found = [
        Tag(
            label=predictor.label_names[int(answers.probabilities[index].argmax())],
            score=float(scores[index]),
            known_score=None if known is None else float(known[index]),
            box=boxes[index],
        )
        for index in kept
        if sureness[index] >= LEAST_SURE
    ]
    return sorted(found, key=lambda tag: -tag.score)


def apart(boxes: Floats, promise: Floats, most: int | None = None) -> list[int]:
    """Return the most promising of boxes (M, 4) that hardly overlap: non-maximum suppression."""
    kept: list[int] = []
    for index in np.argsort(-promise, kind="stable").tolist():
        if len(kept) == most:
            break
        if not _hidden(boxes[index], boxes[kept]):
            kept.append(index)
    return kept


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


def to_pixels(box: Floats, size: tuple[int, int]) -> Box:
    """Return whole pixels, one at least on each side."""
    left, upper = (min(int(edge), length - 1) for edge, length in zip(box[:2], size, strict=True))
    right, lower = (min(max(round(float(edge)), 1), length) for edge, length in zip(box[2:], size, strict=True))
    return left, upper, max(right, left + 1), max(lower, upper + 1)
