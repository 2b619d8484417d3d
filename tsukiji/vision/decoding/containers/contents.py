"""The result of parsing a file."""

from dataclasses import dataclass
from typing import Final

from tsukiji.errors import ImageTooCostly

MOST_PARTS: Final = 65_536
"""Markers, chunks, blocks, strips. A picture of 50 megapixels has some thousands; parsing this many takes 0.1 s."""


@dataclass(frozen=True, slots=True)
class Contents:
    """A picture's file, reduced to what is needed to decode it."""

    data: bytes
    """For Pillow's reader of the format."""
    width: int
    height: int
    """As stored, before `orientation` is undone."""
    orientation: int = 1
    """EXIF's, 1 to 8."""
    animated: bool = False
    """There is more than one frame or page."""
    cut: bool = False
    """The file ends early, within some part."""
    block: int = 0
    """Pixels of the largest block decoded in one piece, if that may exceed the picture."""
    memory: int = 12
    """Bytes per pixel while it is decoded and turned upright."""
    full_memory: int = 0
    """Additional bytes per pixel of the full resolution, if a smaller one is decoded."""
    apart: bool = False
    """Must be decoded in the sandbox process, because its decoder has no limits. The size may be unknown, 0."""
    inverted: bool = False
    """The highest value is black, unknown to Pillow."""
    other_sign: bool = False
    """Values are signed (8 bits) or unsigned (32 bits), and Pillow assumes the opposite."""

    @property
    def largest(self) -> int:
        """Most pixels decoded in one piece."""
        return max(self.width * self.height, self.block)


def count_part(parts: int) -> int:
    """Return the incremented number of parts.

    Raises:
        ImageTooCostly: there are too many.
    """
    if parts >= MOST_PARTS:
        raise ImageTooCostly(f"The file has more than {MOST_PARTS:,} parts.")
    return parts + 1
