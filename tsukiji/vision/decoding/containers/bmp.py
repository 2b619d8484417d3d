"""BMP: a header, and pixels to be passed on unchanged."""

import struct
from typing import Final

from tsukiji.errors import ImageTooCostly, ImageTruncated
from tsukiji.vision.decoding.containers.contents import Contents

OLD_HEADER: Final = 12
RUN_LENGTHS: Final = frozenset({1, 2})
MOST_RUN_BYTES: Final = 4 * 2**20
"""Of run lengths, which Pillow unpacks in Python; a megabyte takes a second."""


def read(data: bytes) -> Contents:
    """Read the header.

    Raises:
        ImageTruncated, ImageTooCostly
    """
    size = int.from_bytes(data[14:18], "little")
    if len(data) < 14 + size:
        raise ImageTruncated("The file ends within its header.")
    if size == OLD_HEADER:
        (width, height), bits, packing = struct.unpack_from("<HH", data, 18), data[24], 0
    else:
        width, height, _, bits, packing = struct.unpack_from("<IiHHI", data, 18)
    height = abs(height)
    start, used = int.from_bytes(data[10:14], "little"), -(-width * bits // 8)
    row = -(-used // 4) * 4
    packed = packing in RUN_LENGTHS
    if packed and len(data) > MOST_RUN_BYTES:
        raise ImageTooCostly(f"Run-length encoded BMP is supported up to {MOST_RUN_BYTES:,} bytes.")
    missing = start + row * height - len(data)
    if not packed and 0 < missing <= row - used:
        data += bytes(missing)  # only padding of the last row is missing
    return Contents(data, width, height, apart=packed)
