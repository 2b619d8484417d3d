"""Class folders as lessons: one split for all, drawn by Tsukiji's rules."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.report import SUFFIXES
from training.run import Picture
from tsukiji.curation.snapshots import SnapshotItem, dumps
from tsukiji.curation.splits import assign_splits
from tsukiji.vision.decoding.decode import probe

VALID_FRACTION = 0.3


@dataclass(frozen=True)
class Lesson:
    """Pictures with label and split; `sha256` is that of the snapshot."""

    name: str
    pictures: list[Picture]
    sha256: str

    def of_split(self, split: str) -> list[Picture]:
        return [picture for picture in self.pictures if picture.split == split]


@dataclass(frozen=True)
class Seen:
    """A picture file, looked at once."""

    path: Path
    label: str
    sha256: str
    phash: str | None


def look(folder: Path) -> list[Seen]:
    """Return the pictures of a class folder; of exact copies the first."""
    found: dict[str, Seen] = {}
    for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES):
        data = path.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        found.setdefault(digest, Seen(path, path.parent.name, digest, probe(data).phash))
    return list(found.values())


def split(name: str, seen: Sequence[Seen], seed: int) -> Lesson:
    """Draw the split: 30% held out of each label, near-duplicates on one side."""
    items = [SnapshotItem(str(one.path), one.sha256, one.path.name, one.label, phash=one.phash) for one in seen]
    draw = assign_splits(items, valid_fraction=VALID_FRACTION, seed=seed)
    pictures = [
        Picture(path=one.path, label=one.label, split=item.split or "train", sha256=one.sha256, name=one.path.name)
        for one, item in zip(seen, draw.items, strict=True)
    ]
    return Lesson(name, pictures, hashlib.sha256(dumps(draw.items)).hexdigest())


def others(folder: Path) -> list[Picture]:
    """Return pictures of other things."""
    return [
        Picture(path=one.path, label="other", split="test", sha256=one.sha256, name=one.path.name)
        for one in look(folder)
    ]


def counts(lesson: Lesson) -> dict[str, int]:
    return dict(Counter(picture.split for picture in lesson.pictures))
