"""Single-kind photos, and collages of unseen ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from bench.teaching import lessons
from bench.teaching.lessons import Lesson, Seen
from tsukiji.explain.collages import SIDES, make_collage, place
from tsukiji.types import Box
from tsukiji.vision.decoding.decode import decode

POOL = 12
"""Each collage's pictures are drawn from this many."""
DISTRACTORS = 4
"""Of these, pictures with none of the labels."""


@dataclass(frozen=True)
class Photo:
    """A picture file, and what it shows; None: none of the labels."""

    path: Path
    label: str | None

    def open(self) -> Image.Image:
        return decode(self.path.read_bytes())


@dataclass(frozen=True)
class Mixture:
    """A collage with its kinds and boxes; `labels` is empty without a known kind."""

    image: Image.Image
    things: list[tuple[str, Box]]

    @property
    def labels(self) -> set[str]:
        return {label for label, _ in self.things}


@dataclass(frozen=True)
class Photos:
    """Training and held-out photos of the kinds, and of other things."""

    lesson: Lesson
    test: list[Photo]
    grounds: list[Photo]
    distractors: list[Photo]
    empty: list[Photo]


def gather(folders: Sequence[Path], unknown: Path, seed: int) -> Photos:
    """Hold out 30% of each kind for the test; of the rest, 30% again for the trainings' own validation.

    Other things are three parts: grounds of collages, distractors in them, and pictures without a known kind.
    """
    seen = [one for folder in folders for one in lessons.look(folder)]
    held_out = {picture.path for picture in lessons.split("all", seen, seed).of_split("valid")}
    rest: list[Seen] = [one for one in seen if one.path not in held_out]
    others = [Photo(picture.path, None) for picture in lessons.others(unknown)]
    return Photos(
        lesson=lessons.split("kinds", rest, seed),
        test=[Photo(one.path, one.label) for one in seen if one.path in held_out],
        grounds=others[::3],
        distractors=others[1::3],
        empty=others[2::3],
    )


def mix(
    known: Sequence[Photo], distractors: Sequence[Photo], grounds: Sequence[Photo], count: int, seed: int
) -> list[Mixture]:
    """Return collages with at least one known kind each; alternately on a photo and on a plain background."""
    random, found = np.random.default_rng(seed), list[Mixture]()
    kinds = sorted({photo.label or "" for photo in known})
    while len(found) < count:
        wanted = random.choice(kinds, POOL - (DISTRACTORS if distractors else 0))
        pool = [pick([photo for photo in known if photo.label == kind], random) for kind in wanted]
        pool += [pick(distractors, random) for _ in range(POOL - len(pool))]
        ground = pick(grounds, random).open() if grounds and len(found) % 2 else None
        collage = make_collage([photo.open() for photo in pool], random, ground)
        shown = ((pool[number].label, box) for number, box in collage.things)
        if things := [(label, box) for label, box in shown if label]:
            found.append(Mixture(collage.image, things))
    return found


def blend(
    known: Sequence[Photo], distractors: Sequence[Photo], grounds: Sequence[Photo], count: int, seed: int
) -> list[Mixture]:
    """Return scenes in which two to four things stand together: rounded, with soft borders, on a photo.

    A collage's things end in straight lines, which things in one photo seldom do. At least one is of a known kind.
    """
    random, found = np.random.default_rng(seed), list[Mixture]()
    while len(found) < count:
        width, height = SIDES[random.integers(len(SIDES))]
        image, things = ImageOps.fit(pick(grounds, random).open(), (width, height)), []
        for box in place(int(random.integers(2, 5)), width, height, random):
            photo = pick(distractors if random.random() < DISTRACTORS / POOL else known, random)
            size = box[2] - box[0], box[3] - box[1]
            image.paste(ImageOps.fit(photo.open(), size), box[:2], _rounded(size))
            if photo.label:
                things.append((photo.label, box))
        if things:
            found.append(Mixture(image, things))
    return found


def _rounded(size: tuple[int, int]) -> Image.Image:
    """Return a mask: an ellipse whose border fades over a tenth of its size."""
    mask, fade = Image.new("L", size), min(size) // 10
    ImageDraw.Draw(mask).ellipse((fade // 2, fade // 2, size[0] - fade // 2, size[1] - fade // 2), fill=255)
    return mask.filter(ImageFilter.GaussianBlur(fade / 4))


def pick(photos: Sequence[Photo], random: np.random.Generator) -> Photo:
    return photos[int(random.integers(len(photos)))]
