"""Input of a part: photos, weights, a folder of its own, and sizes."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from bench.throughput import photos

Figures = dict[str, Any]


class PartMissing(Exception):
    """A part, or a peer, cannot be measured here; the message says what it lacks."""


@dataclass(frozen=True)
class Stage:
    scratch: Path
    """Empty, and removed after the part."""
    photos: list[Path]
    weights: Path | None
    """A folder with the backbone's weights, unless a package has them."""
    images: int
    image_size: int
    runs: int
    large: int
    """Images of the larger batch of `growth`; the smaller one has a twentieth."""
    rounds: int
    """Of what takes milliseconds."""
    seconds: float
    """Of what is a rate."""
    clients: int
    """That poll."""
    taught: int = 40
    """Photos of each class that the model learns from; of a thousand in all on, a frozen body may be in int8."""
    backbone: str = "resnet34"
    precision: str | None = None
    """In which the model must be run; the service asks its held-out images whether it may."""

    def folder(self, name: str) -> Path:
        """Make a new folder."""
        folder = self.scratch / name
        folder.mkdir(parents=True)
        return folder

    def at(self, scratch: Path) -> Self:
        """Return the same with another folder."""
        return replace(self, scratch=scratch)

    def fresh(self, name: str, count: int) -> list[Path]:
        """Write photos that nobody has seen: what a service keeps of one image helps it with no other."""
        return photos.write(self.photos, count, self.folder(name))
