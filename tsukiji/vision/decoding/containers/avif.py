"""AVIF: a file of boxes, parsed by the decoder itself, in a sandbox process."""

import struct

from tsukiji.vision.decoding.containers.contents import MOST_PARTS, Contents


def read(data: bytes) -> Contents:
    """Check that the last outermost box is complete. The decoder determines the size."""
    at, names = 0, set[bytes]()
    for _ in range(MOST_PARTS):
        if at + 8 > len(data):
            break
        length = int.from_bytes(data[at : at + 4])
        names.add(data[at + 4 : at + 8])
        if length == 1 and at + 16 <= len(data):
            length = struct.unpack_from(">Q", data, at + 8)[0]
        elif length == 0:  # up to the end of the file
            return Contents(data, 0, 0, apart=True)
        at += max(length, 8)
    return Contents(data, 0, 0, cut=at != len(data) or not names.issuperset({b"meta", b"mdat"}), apart=True)
