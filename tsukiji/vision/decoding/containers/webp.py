"""WebP: the picture, or an animation's first frame."""

import struct
from typing import Final

from tsukiji.errors import ImageDamaged, ImageTruncated
from tsukiji.vision.decoding.containers.contents import MOST_PARTS, Contents, count_part
from tsukiji.vision.decoding.containers.exif import orientation_of

ANIMATION, ALPHA = 0x02, 0x10
NEEDED: Final = frozenset({b"VP8X", b"ALPH", b"ANIM", b"VP8 ", b"VP8L", b"ANMF"})
PICTURES: Final = frozenset({b"VP8 ", b"VP8L", b"ANMF"})
MEMORY: Final = 20
"""Bytes per pixel: two canvases, the frame, Pillow's picture, and the upright one."""


def read(data: bytes) -> Contents:
    """Parse all chunks, up to the limit.

    Raises:
        ImageTruncated, ImageDamaged, ImageTooCostly
    """
    kept: dict[bytes, bytes] = {}
    notes: dict[bytes, bytes] = {}
    at, parts, frames, cut = 12, 0, 0, False
    while at + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, at)
        end = at + 8 + length + (length & 1)
        seen = not PICTURES.isdisjoint(kept)
        if seen and parts >= MOST_PARTS:
            break
        parts = count_part(parts)
        frames += name == b"ANMF"
        if name in NEEDED and name not in kept and not (seen and name in PICTURES):
            kept[name] = data[at : at + 8 + length]
            cut = cut or at + 8 + length > len(data)
        elif name in {b"EXIF", b"XMP "} and end <= len(data):
            notes.setdefault(name, data[at + 8 : at + 8 + length])
        at = end
    if PICTURES.isdisjoint(kept):
        if at == 12 or at > len(data) or at + 8 > len(data):
            raise ImageTruncated("The file ends before its pixels begin.")
        raise ImageDamaged("The file has no picture in it.")
    width, height = size_of(kept)
    body = b"".join(chunk if cut else padded(chunk) for chunk in plain(kept).values())
    return Contents(
        struct.pack("<4sI4s", b"RIFF", 4 + len(body), b"WEBP") + body,
        width,
        height,
        orientation_of(notes.get(b"EXIF", b""), notes.get(b"XMP ", b"")),
        animated=frames > 1,
        cut=cut,
        memory=MEMORY,
    )


def plain(kept: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """Return the chunks with a header whose flags match them."""
    head = kept.get(b"VP8X")
    if head is None:
        return {name: chunk for name, chunk in kept.items() if name in PICTURES}
    flags = head[8] & (ANIMATION | ALPHA)
    first = {b"VP8X": head[:8] + bytes([flags]) + head[9:]}
    return first | {name: chunk for name, chunk in kept.items() if name != b"VP8X"}


def padded(chunk: bytes) -> bytes:
    return chunk + bytes(len(chunk) & 1)


def size_of(kept: dict[bytes, bytes]) -> tuple[int, int]:
    """Return the canvas's width and height.

    Raises:
        ImageTruncated, ImageDamaged
    """
    name = next(name for name in (b"VP8X", b"VP8L", b"VP8 ") if name in kept) if b"ANMF" not in kept else b"VP8X"
    head = kept.get(name, b"")[8:18]
    if len(head) < (5 if name == b"VP8L" else 10):
        raise ImageTruncated("The file ends within its header.")
    if name == b"VP8X":
        return int.from_bytes(head[4:7], "little") + 1, int.from_bytes(head[7:10], "little") + 1
    if name == b"VP8L":
        bits = int.from_bytes(head[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if head[3:6] != b"\x9d\x01\x2a":
        raise ImageDamaged("The picture's first frame has no header.")
    return int.from_bytes(head[6:8], "little") & 0x3FFF, int.from_bytes(head[8:10], "little") & 0x3FFF
