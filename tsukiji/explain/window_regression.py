"""Fits the reader of a model's windows: ridge regression on collages of the model's own pictures.

Each window of a collage shows one of the pictures, or none of them; shuffled pictures show none of the kinds.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tsukiji.explain.collages import Collage, make_collage, shuffled
from tsukiji.explain.tags import Reader, shared
from tsukiji.explain.windows import look_closely
from tsukiji.vision.engines import Floats
from tsukiji.vision.predictor import Predictor

COLLAGES: Final = 190
WINDOWS: Final = 80
"""Most windows of each collage to fit on."""
SHUFFLED: Final = 3
"""One in this many pictures of a collage is shuffled."""
LEAST_PICTURES: Final = 20
"""With fewer, no reader is fitted."""
INSIDE: Final = 0.45
"""A window with at least this intersection over union with a picture of a collage shows that picture."""
OUTSIDE: Final = 0.2
"""A window below this with all pictures shows nothing; those in between are not used."""
RIDGE: Final = 3.0
LEAST_SPREAD: Final = 0.02

Ints = NDArray[np.int64]
Example = tuple[Image.Image, int]
"""An RGB picture that shows one label, and the label's index in `label_names`."""


def learn(predictor: Predictor, examples: Sequence[Example], seed: int = 0) -> Reader | None:
    """Return the reader of a model's windows; None if examples are too few or have one label only."""
    if len(examples) < LEAST_PICTURES or len({kind for _, kind in examples}) < 2:
        return None
    random, none = np.random.default_rng(seed), len(predictor.label_names)
    seen = [_look(predictor, examples, random, number) for number in range(COLLAGES)]
    rows = np.concatenate([rows for rows, _ in seen])
    return solve(rows, np.concatenate([shows for _, shows in seen]), none + 1)


def solve(rows: Floats, shows: Ints, classes: int) -> Reader:
    """Return the ridge regression of what windows show (N,) on their embeddings (N, E), with equal class weights."""
    spread = rows.std(axis=0) + np.float32(LEAST_SPREAD)
    scaled = rows / spread
    weight = (1 / np.bincount(shows, minlength=classes).clip(1)[shows]).astype(np.float32)
    weight /= weight.sum()
    targets = np.eye(classes, dtype=np.float32)[shows]
    centre, prior = weight @ scaled, weight @ targets
    scaled -= centre
    weighted = (scaled * weight[:, None]).T
    left = weighted @ scaled + RIDGE * np.eye(scaled.shape[1], dtype=np.float32)
    weights = np.linalg.solve(left, weighted @ (targets - prior)).astype(np.float32)
    return Reader(weights / spread[:, None], (prior - centre @ weights).astype(np.float32))


def _look(
    predictor: Predictor, examples: Sequence[Example], random: np.random.Generator, number: int
) -> tuple[Floats, Ints]:
    """Return windows of one collage (N, E), and what each shows (N,); every other collage has a picture background."""
    none = len(predictor.label_names)
    pool = [examples[n] for n in random.integers(len(examples), size=2 * SHUFFLED).tolist()]
    pool = [
        (shuffled(image, random), none) if n % SHUFFLED == 0 else (image, kind) for n, (image, kind) in enumerate(pool)
    ]
    ground = examples[int(random.integers(len(examples)))][0] if number % 2 else None
    collage = make_collage([image for image, _ in pool], random, ground)
    windows = look_closely(predictor, collage.image)
    shows = _shows(windows.boxes, collage, [kind for _, kind in pool], none)
    some = random.permutation(np.flatnonzero(shows >= 0))[:WINDOWS]
    return windows.embeddings[some], shows[some]


def _shows(boxes: Floats, collage: Collage, kinds: Sequence[int], none: int) -> Ints:
    """Return what each window of a collage shows; -1 if ambiguous."""
    shows, most = np.full(len(boxes), none), np.zeros(len(boxes), np.float32)
    for number, box in collage.things:
        part = shared(boxes, np.array(box, np.float32))
        shows[part > most] = kinds[number]
        most = np.maximum(most, part)
    shows[(most > OUTSIDE) & (most < INSIDE)] = -1
    return shows
