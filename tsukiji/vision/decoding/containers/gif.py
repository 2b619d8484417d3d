"""GIF: the first frame, and whether there are more."""

from typing import Final

from tsukiji.errors import ImageDamaged, ImageTooCostly, ImageTruncated
from tsukiji.vision.decoding.containers.contents import MOST_PARTS, Contents

MOST_BLOCKS: Final = 2 * MOST_PARTS
"""Of at most 255 bytes each."""
EXTENSION, FRAME, CONTROL, TRAILER = 0x21, 0x2C, 0xF9, b"\x3b"
LEAST_HEAD: Final = 13


class Blocks:
    """Iterates over blocks, and counts them."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data, self.at, self.met = data, at, 0

    def peek(self) -> int:
        """Return the next byte; -1 at the end."""
        return self.data[self.at] if self.at < len(self.data) else -1

    def pass_chain(self) -> None:
        """Skip a chain of blocks, up to its terminator or the end of the file.

        Raises:
            ImageTooCostly: there are too many.
        """
        while (size := self.peek()) > 0:
            self.at += size + 1
            self.met += 1
            if self.met > MOST_BLOCKS:
                raise ImageTooCostly(f"The file has more than {MOST_BLOCKS:,} blocks.")
        self.at += 1
        self.met += 1

    def pass_extensions(self) -> bytes:
        """Skip to the next frame, and return its control block, if it has one."""
        control = b""
        while (code := self.peek()) >= 0 and code != FRAME and code != TRAILER[0]:
            begin = self.at
            self.at += 1
            if code == EXTENSION:
                label = self.peek()
                self.at += 1
                self.pass_chain()
                if label == CONTROL:
                    control = self.data[begin : self.at]
            self.met += 1
            if self.met > MOST_BLOCKS:
                raise ImageTooCostly(f"The file has more than {MOST_BLOCKS:,} blocks.")
        return control


def read(data: bytes) -> Contents:
    """Parse up to the second frame.

    Raises:
        ImageTruncated, ImageDamaged, ImageTooCostly
    """
    if len(data) < LEAST_HEAD:
        raise ImageTruncated("The file ends within its header.")
    begin = LEAST_HEAD + palette_bytes(data[10])
    blocks = Blocks(data, begin)
    control = blocks.pass_extensions()
    first = blocks.at
    if blocks.peek() == TRAILER[0]:
        raise ImageDamaged("The file has no picture in it.")
    if first + 10 > len(data):
        raise ImageTruncated("The file ends before its pixels begin.")
    left, upper, across, down = (int.from_bytes(data[at : at + 2], "little") for at in range(first + 1, first + 9, 2))
    width, height = (int.from_bytes(data[at : at + 2], "little") for at in (6, 8))
    blocks.at = first + 10 + palette_bytes(data[first + 9]) + 1
    blocks.pass_chain()
    end = blocks.at
    return Contents(
        data[:begin] + control + data[first:end] + TRAILER,
        max(width, left + across),  # a frame may exceed the declared canvas
        max(height, upper + down),
        animated=has_another(blocks),
        cut=end > len(data),
    )


def palette_bytes(flags: int) -> int:
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


def has_another(blocks: Blocks) -> bool:
    try:
        blocks.pass_extensions()
    except ImageTooCostly:
        return False
    return blocks.peek() == FRAME
