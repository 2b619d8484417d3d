"""What a walk through a file finds."""

from dataclasses import dataclass
from typing import Final

from tsukiji.errors import ImageTooCostly

MOST_PARTS: Final = 65_536
"""Markers, chunks, blocks, strips. A picture of 50 megapixels has some thousands; a walk this long takes 0.1 s."""


@dataclass(frozen=True, slots=True)
class Contents:
    """A picture's file without what is not needed to see it."""

    data: bytes
    """For Pillow's reader of the format."""
    width: int
    height: int
    """As stored, before `orientation` is undone."""
    orientation: int = 1
    """EXIF's, 1 to 8."""
    animated: bool = False
    """Is there more than one frame or page?"""
    cut: bool = False
    """Does the file end before the part that it is in?"""
    block: int = 0
    """Pixels of the largest block that is decoded in one piece, where that may be more than the picture has."""
    memory: int = 12
    """Bytes that each pixel takes while it is decoded and turned upright."""
    full_memory: int = 0
    """Bytes beside these for each pixel of the full resolution, where a smaller one is decoded."""
    apart: bool = False
    """Must it be decoded in a process of its own? Its decoder sets itself no bounds. The size may be unknown, 0."""
    inverted: bool = False
    """Is the highest value black, and does Pillow not know?"""
    other_sign: bool = False
    """Are its values signed (8 bits) or unsigned (32 bits), and does Pillow take them for the opposite?"""

    @property
    def largest(self) -> int:
        """The most pixels that are decoded in one piece."""
        return max(self.width * self.height, self.block)


def count_part(parts: int) -> int:
    """Return the number of parts with one more.

    Raises:
        ImageTooCostly: there are too many.
    """
    if parts >= MOST_PARTS:
        raise ImageTooCostly(f"The file has more than {MOST_PARTS:,} parts.")
    return parts + 1
