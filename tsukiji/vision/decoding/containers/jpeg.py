"""JPEG: tables and frame, metadata that changes colours, and the scans unchanged."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from tsukiji.errors import ImageDamaged, ImageTooCostly, ImageTruncated, UnsupportedFormat
from tsukiji.vision.decoding.containers.contents import Contents, count_part
from tsukiji.vision.decoding.containers.exif import orientation_of

MARKER: Final = re.compile(rb"\xff[^\x00\xff]", re.DOTALL)
"""Bytes of 255 may precede a marker as padding."""
AFTER_SCAN: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
RESTART: Final = re.compile(rb"\xff[\xd0-\xd7]", re.DOTALL)
BARE: Final = frozenset({0x01, 0xD8, *range(0xD0, 0xD8)})
TABLES: Final = frozenset({0xC4, 0xCC, 0xDB, 0xDD})
UNDECODED: Final = {
    0xC5: "hierarchical",
    0xC6: "hierarchical",
    0xC7: "hierarchical",
    0xCB: "lossless arithmetic",
    0xCD: "hierarchical",
    0xCE: "hierarchical",
    0xCF: "hierarchical",
}
FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
PROGRESSIVE: Final = frozenset({0xC2, 0xCA})
END, SCAN, APP0, APP1, APP2, APP14 = 0xD9, 0xDA, 0xE0, 0xE1, 0xE2, 0xEE
MOST_SCANS: Final = 100
"""Each covers the whole picture; encoders write about ten."""
MOST_PROFILE: Final = 4 * 2**20
MOST_EXIF: Final = 2**20
XMP: Final = b"http://ns.adobe.com/xap/1.0/\0"
PROFILE: Final = b"ICC_PROFILE\0"
NOISE: Final = b"\xfe" + bytes((37 * number * number + 11 * number) % 255 for number in range(200))
"""Pseudo-random data: a decoder pads truncated data with zeros, so different results reveal missing pixels."""


@dataclass
class Walk:
    """State of the parser."""

    kept: list[bytes] = field(default_factory=lambda: [b"\xff\xd8"])
    profile: list[bytes] = field(default_factory=list)
    exif: bytes = b""
    xmp: bytes = b""
    kind: int = 0
    frame: bytes = b""


def read(data: bytes) -> Contents:
    """Parse up to the first scan.

    Raises:
        ImageTruncated, ImageDamaged, ImageTooCostly, UnsupportedFormat
    """
    walk = Walk()
    for code, start, body in segments(data):
        if code == SCAN:
            break
        meet(walk, code, body, data[start : start + 4 + len(body)])
    height, width, channels = check_frame(walk.kind, walk.frame)
    if channels == 4 and sum(map(len, walk.profile)) <= MOST_PROFILE:
        walk.kept[1:1] = walk.profile  # needed for CMYK only
    several = walk.kind in PROGRESSIVE or body[:1] != bytes([channels])
    if several:  # a single scan with all channels is decoded row by row
        check_scans(data, start)
    return Contents(
        b"".join(walk.kept) + data[start:],
        width,
        height,
        orientation_of(walk.exif, walk.xmp),
        full_memory=2 * channels if several else 0,
    )


def segments(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield each segment's code, where its marker is, and its body, up to the first scan's.

    Raises:
        ImageTruncated, ImageDamaged, ImageTooCostly
    """
    at, parts, code = 2, 0, 0
    while code != SCAN:
        parts = count_part(parts)
        marker = MARKER.search(data, at)
        if marker is None or data[marker.start() + 1] == END:
            raise ImageTruncated("The file ends before its pixels begin.")
        code, at = data[marker.start() + 1], marker.end()
        if code in BARE:
            continue
        length = int.from_bytes(data[at : at + 2])
        if at + max(length, 2) > len(data):
            raise ImageTruncated("The file ends before its pixels begin.")
        if length < 2:
            raise ImageDamaged(f"The segment FF{code:02X} has no length.")
        yield code, marker.start(), data[at + 2 : at + length]
        at += length


def meet(walk: Walk, code: int, body: bytes, whole: bytes) -> None:
    """Handle a segment: keep it if needed, and note what others say."""
    if code in TABLES or code in FRAMES or is_about_colours(code, body):
        walk.kept.append(whole)
    if code in FRAMES and not walk.frame:
        walk.kind, walk.frame = code, body
    elif code == APP1 and body.startswith(b"Exif\0\0") and len(walk.exif) < MOST_EXIF:
        walk.exif += body[6:] if walk.exif else body
    elif code == APP1 and body.startswith(XMP):
        walk.xmp = body
    elif code == APP2 and body.startswith(PROFILE):
        walk.profile.append(whole)


def is_about_colours(code: int, body: bytes) -> bool:
    return (code == APP0 and body.startswith(b"JFIF\0")) or (code == APP14 and body.startswith(b"Adobe"))


def check_frame(kind: int, frame: bytes) -> tuple[int, int, int]:
    """Return height, width and channels.

    Raises:
        ImageDamaged, UnsupportedFormat
    """
    if len(frame) < 6:
        raise ImageDamaged("The file has scans but no frame.")
    bits, height, width, channels = frame[0], int.from_bytes(frame[1:3]), int.from_bytes(frame[3:5]), frame[5]
    odd = (
        UNDECODED.get(kind)
        or (f"{bits}-bit" if bits != 8 else "")
        or (f"{channels}-channel" if channels not in {1, 3, 4} else "")
        or ("height that is told after the pixels" if not height else "")
    )
    if odd:
        raise UnsupportedFormat(f"This kind of JPEG is not supported: {odd}.", format=f"JPEG, {odd}")
    return height, width, channels


def check_scans(data: bytes, at: int) -> None:
    """Raise ImageTooCostly if too many scans follow."""
    if data.count(b"\xff\xda", at) <= MOST_SCANS:  # trailing data may contain false ones
        return
    scans = parts = 0
    while (marker := AFTER_SCAN.search(data, at)) and data[marker.start() + 1] != END:
        parts = count_part(parts)
        scans += data[marker.start() + 1] == SCAN
        if scans > MOST_SCANS:
            raise ImageTooCostly(f"The picture has more than {MOST_SCANS} scans.")
        at = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2])


# --- files without an end marker -------------------------------------------------------------------------------------


def ended(data: bytes) -> tuple[bytes, bytes]:
    """Return a file with a missing or early end marker, completed, and the same with other data before the end.

    Raises:
        ImageTruncated: whole scans are missing.
    """
    at, progressive, known = 2, False, dict[int, list[int]]()
    while marker := AFTER_SCAN.search(data, at):
        code, at = data[marker.start() + 1], marker.end()
        if code == END:
            data = data[: marker.start()]
            break
        if code in BARE:
            continue
        segment = data[at + 2 : at + int.from_bytes(data[at : at + 2])]
        progressive = progressive or code in PROGRESSIVE
        if code == SCAN:
            note_scan(segment, known)
        at += 2 + len(segment)
    if progressive and any(any(bits) for bits in known.values()):
        raise ImageTruncated("The file ends before its last scans.")
    data = data.rstrip(b"\xff")  # half an end marker
    restarts = RESTART.findall(data, at)
    following = restarts[-1][1] + 1 if restarts else 0
    noise = NOISE + b"".join(bytes((0xFF, 0xD0 + (following + number) % 8)) + NOISE for number in range(8))
    return data + b"\xff\xd9", data + noise + b"\xff\xd9"


def note_scan(segment: bytes, known: dict[int, list[int]]) -> None:
    """Record for each channel and coefficient how many low bits are still unknown."""
    count = segment[0] if segment else 0
    if len(segment) < 4 + 2 * count:
        return
    first, last, bits = segment[1 + 2 * count : 4 + 2 * count]
    for channel in segment[1 : 1 + 2 * count : 2]:
        for place in range(first, min(last, 63) + 1):
            known.setdefault(channel, [1] * 64)[place] = bits & 15
