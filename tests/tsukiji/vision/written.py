"""PNG and TIFF of kinds that Pillow reads and does not write: every depth, layout and byte order."""

import struct
import zlib

import numpy as np

from tests.tsukiji.vision.pictures import chunk

TIFF_TYPES = {1: ">u1", 2: ">u1", 3: ">u2", 4: ">u4"}
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""Left, upper, step across and step down of each pass."""


def rows_of(values, depth):
    """The rows of a PNG: each its filter's number (0: none) and its samples, big-endian or packed."""
    if depth >= 8:
        packed = [row.astype(f">u{depth // 8}").tobytes() for row in values]
    else:
        bits = np.unpackbits(values.astype(np.uint8)[:, :, None], axis=2)[:, :, -depth:]
        packed = [np.packbits(row.reshape(-1)).tobytes() for row in bits]
    return b"".join(b"\0" + row for row in packed)


def png(values, depth=16, *, interlaced=False, before=b"", after=b""):
    """A PNG of samples (H, W) or (H, W, C), with optional chunks before and after its pixels."""
    values = np.asarray(values)
    height, width, channels = (*values.shape, 1)[:3]
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    body = rows_of(values.reshape(height, -1), depth)
    if interlaced:
        parts = [values[upper::down, left::across] for left, upper, across, down in ADAM7]
        body = b"".join(rows_of(part.reshape(len(part), -1), depth) for part in parts if part.size)
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    pixels = chunk(b"IDAT", zlib.compress(body))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + before + pixels + after + chunk(b"IEND", b"")


def directory(tags, at, order="<", following=0, big=False):
    """A TIFF directory at an offset, with the values it points to, from lists of numbers or bytes by tag."""
    word, long, room = ("Q", "Q", 8) if big else ("H", "I", 4)
    entries, beside = b"", b""
    end = at + struct.calcsize("=" + word) + (12 + room) * len(tags) - (4 if not big else 0) * len(tags) + room
    size = 20 if big else 12
    end = at + struct.calcsize("=" + word) + size * len(tags) + room
    for tag, value in sorted(tags.items()):
        kind = 1 if isinstance(value, bytes) else 4 if max(value) > 0xFFFF else 3
        data = value if kind == 1 else np.array(value).astype(TIFF_TYPES[kind].replace(">", order)).tobytes()
        where = data.ljust(room, b"\0")
        if len(data) > room:
            where = struct.pack(order + long, end + len(beside))
            beside += data + bytes(len(data) & 1)
        entries += struct.pack(f"{order}HH{long}", tag, kind, len(value)) + where
    return struct.pack(order + word, len(tags)) + entries + struct.pack(order + long, following) + beside


def tiff(values, photometric, *, order="<", planar=False, big=False, packed=False, strip_rows=None, tile=None, **extra):
    """A TIFF of samples (H, W) or (H, W, C), of the type that they have; `extra` are further tags, as `t338=[1]`."""
    values = np.asarray(values)
    height, width, channels = (*values.shape, 1)[:3]
    bits, form = values.dtype.itemsize * 8, {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    data = values.astype(values.dtype.newbyteorder(order)).reshape(height, width, channels)
    if tile:
        across, down = -(-width // tile), -(-height // tile)
        data = np.pad(data, ((0, down * tile - height), (0, across * tile - width), (0, 0)), mode="edge")
        parts = [data[y * tile : (y + 1) * tile, x * tile : (x + 1) * tile] for y in range(down) for x in range(across)]
    else:
        rows = strip_rows or height
        planes = [data[:, :, band] for band in range(channels)] if planar else [data]
        parts = [plane[start : start + rows] for plane in planes for start in range(0, height, rows)]
    blocks = [part.tobytes() for part in parts]
    if packed:
        blocks = [zlib.compress(block) for block in blocks]
    begin = 16 if big else 8
    places = [begin + sum(map(len, blocks[:number])) for number in range(len(blocks))]
    tags = {256: [width], 257: [height], 258: [bits] * channels, 259: [8 if packed else 1], 262: [photometric]}
    tags |= {277: [channels], 284: [2 if planar else 1], 339: [form] * channels}
    sizes = [len(block) for block in blocks]
    if tile:
        tags |= {322: [tile], 323: [tile], 324: places, 325: sizes}
    else:
        tags |= {273: places, 278: [strip_rows or height], 279: sizes}
    tags |= {int(name[1:]): value for name, value in extra.items()}
    body = b"".join(blocks)
    body += bytes(len(body) & 1)
    at, mark = begin + len(body), {"<": b"II", ">": b"MM"}[order]
    head = struct.pack(order + "HHHQ", 43, 8, 0, at) if big else struct.pack(order + "HI", 42, at)
    return mark + head + body + directory(tags, at, order, big=big)
