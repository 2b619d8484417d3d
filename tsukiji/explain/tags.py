"""Tags: several kinds in one picture, and where. Weak localisation by a classifier trained on whole pictures.

It is no trained detector: the model never saw a box. The picture is embedded once as `windows`, in which a linear
reader (`window_regression`) finds likely places. These are cropped and classified like any picture; a tag must be both
probable and similar to the training pictures. docs/decisions/ has the comparison.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from PIL import Image

from tsukiji.explain.windows import Windows, look_closely
from tsukiji.types import Box
from tsukiji.vision.engines import Floats
from tsukiji.vision.predictor import Predictor

PLACES: Final = 3
"""Most places to classify. Each costs a forward pass, and may be wrong."""
PLACE_SIDE: Final = 6 / 7
"""Side of a classified place relative to the network's: three quarters of the time, and as good."""
CANDIDATES: Final = 10
"""Windows around which others vote on a box, before places are selected."""
VOTERS: Final = 0.5
"""Windows with at least this intersection over union with a selected one vote on its box."""
VOTE_SCALE: Final = 0.3
"""A promise smaller by this has a vote smaller by a factor of e."""
OVERLAP: Final = 0.35
"""Two tags share at most this fraction of the smaller box."""
LEAST_SURE: Final = 0.62
"""Least sureness of a tag: about 80% of photos of other things then have none (`bench.many_kinds`)."""
KNOWN_POWER: Final = 0.2
"""Sureness is the probability times the known score to this power: parts of pictures have lower known scores than whole
ones, so the score counts less."""


@dataclass(frozen=True)
class Tag:
    """A label of a part of a picture; the box is left, upper, right, lower in pixels of that picture."""

    label: str
    score: float
    known_score: float | None
    box: Box

    @property
    def sureness(self) -> float:
        """How probable the label is, combined with the known score: must reach `LEAST_SURE`."""
        return self.score if self.known_score is None else float(self.score * self.known_score**KNOWN_POWER)


@dataclass(frozen=True)
class Reader:
    """Classifies windows.

    Attributes:
        weights: (E, K + 1), for K kinds and "none of them", the last.
        offset: (K + 1,).
    """

    weights: Floats
    offset: Floats

    def margins(self, embeddings: Floats) -> Floats:
        """Return the margin between the likeliest kind and "none of them", (M,), in windows (M, E)."""
        read = embeddings @ self.weights + self.offset
        found: Floats = read[:, :-1].max(axis=1) - read[:, -1]
        return found


def find_tags(predictor: Predictor, image: Image.Image, reader: Reader | None = None) -> list[Tag]:
    """Return the labels in an RGB picture with their boxes, likeliest first.

    Args:
        predictor: the model; a multi-label one gives each place's likeliest label.
        image: of any size and proportions.
        reader: selects the places to classify; None: the model's own head on windows.

    Raises:
        GpuOutOfMemory: the picture does not fit.
    """
    places = propose(predictor, look_closely(predictor, image), reader)
    boxes = [to_pixels(box, image.size) for box in places]
    found = [tag for tag in look_at(predictor, image, boxes) if tag.sureness >= LEAST_SURE]
    return sorted(found, key=lambda tag: -tag.score)


def propose(predictor: Predictor, windows: Windows, reader: Reader | None = None) -> Floats:
    """Return the likeliest places of something known, (n, 4), n <= PLACES, without places of the same thing."""
    boxes, promise = likely(predictor, windows, reader)
    kept: Floats = boxes[apart(boxes, promise, PLACES)]
    return kept


def likely(predictor: Predictor, windows: Windows, reader: Reader | None = None) -> tuple[Floats, Floats]:
    """Return boxes (n, 4) around the likeliest windows, n <= CANDIDATES, and their margins, (n,).

    Windows have only a few sizes and positions, so those around a likely one vote on its box: Gidaris and Komodakis,
    "Object detection via a multi-region and semantic segmentation-aware CNN model", ICCV 2015.
    """
    if reader is None:
        promise = predictor.conclude(windows.embeddings).probabilities.max(axis=1)
    else:
        promise = reader.margins(windows.embeddings)
    boxes, promise = windows.boxes[1:], promise[1:]  # the whole picture is no place
    best = apart(boxes, promise, CANDIDATES)
    votes = [_vote(boxes, promise, index) for index in best]
    return np.array(votes, np.float32).reshape(-1, 4), promise[best]


def _vote(boxes: Floats, promise: Floats, index: int) -> Floats:
    """Return the mean box (4,) of a window and those that overlap it."""
    overlap = shared(boxes, boxes[index])
    voters = overlap >= VOTERS
    surer = promise[voters] - promise[voters].max()  # relative to the voters' own maximum: avoids overflow
    weight = np.exp(surer / VOTE_SCALE) * overlap[voters]
    box: Floats = weight @ boxes[voters] / weight.sum()
    return box


def look_at(predictor: Predictor, image: Image.Image, boxes: Sequence[Box], side: float = PLACE_SIDE) -> list[Tag]:
    """Return the tags of parts of an RGB picture that hardly overlap, surest first.

    `side` is that of a part as the network sees it, relative to a whole picture's.
    """
    stride = predictor.model.stride
    seen = replace(predictor.preprocess, size=max(1, round(predictor.preprocess.size * side / stride)) * stride)
    answers = predictor.conclude(predictor.embed_pixels(seen.to_pixels([image.crop(box) for box in boxes])))
    known = answers.known_scores
    found = [
        Tag(
            label=predictor.label_names[int(row.argmax())],
            score=float(row.max()),
            known_score=None if known is None else float(known[number]),
            box=box,
        )
        for number, (box, row) in enumerate(zip(boxes, answers.probabilities, strict=True))
    ]
    sureness = np.array([tag.sureness for tag in found], np.float32)
    return [found[index] for index in apart(np.array(boxes, np.float32).reshape(-1, 4), sureness)]


def apart(boxes: Floats, promise: Floats, most: int | None = None) -> list[int]:
    """Return the most promising of boxes (M, 4) that hardly overlap: non-maximum suppression."""
    area = _area(boxes)
    hides = _common(boxes[:, None], boxes[None]) > OVERLAP * np.minimum(area[:, None], area[None])
    kept: list[int] = []
    hidden = np.zeros(len(boxes), bool)
    for index in np.argsort(-promise, kind="stable").tolist():
        if len(kept) == most:
            break
        if not hidden[index]:
            kept.append(index)
            hidden |= hides[index]
    return kept


def _area(boxes: Floats) -> Floats:
    area: Floats = (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
    return area


def _common(boxes: Floats, others: Floats) -> Floats:
    """Return the area shared by boxes and others, (..., 4) each."""
    upper_left = np.maximum(boxes[..., :2], others[..., :2])
    lower_right = np.minimum(boxes[..., 2:], others[..., 2:])
    area: Floats = (lower_right - upper_left).clip(0).prod(axis=-1)
    return area


def shared(boxes: Floats, box: Floats) -> Floats:
    """Return the intersection over union of each box with one."""
    common = _common(boxes, box)
    return common / (_area(boxes) + _area(box) - common)


def to_pixels(box: Floats, size: tuple[int, int]) -> Box:
    """Return the box in whole pixels, at least one on each side."""
    left, upper = (min(int(edge), length - 1) for edge, length in zip(box[:2], size, strict=True))
    right, lower = (min(max(round(float(edge)), 1), length) for edge, length in zip(box[2:], size, strict=True))
    return left, upper, max(right, left + 1), max(lower, upper + 1)
