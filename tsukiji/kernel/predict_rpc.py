"""The protocol of the predict RPC between API and worker: frames on one connection, one request at a time.

A frame is one line of JSON, whose `sizes` are the lengths of the binary parts that follow. Both sides first prove that
they know the secret in the worker's row of the database: a process that merely has the port gets nothing.
"""

import asyncio
import hmac
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from io import BufferedIOBase
from typing import IO, Any, Final

from tsukiji.json_input import read_json
from tsukiji.types import Box

HEADER_BYTES: Final = 2**20
PARTS_BYTES: Final = 2**28
NONCE_BYTES: Final = 32


class RpcBroken(OSError):
    """The other side closed the connection, or sent something malformed."""


@dataclass(frozen=True)
class RpcAddress:
    """A worker's address, and the secret that authenticates it."""

    worker: str
    host: str
    port: int
    secret: str


Frame = tuple[dict[str, Any], list[bytes]]


@dataclass(frozen=True)
class SimilarQuery:
    """A search for the pictures most similar to one.

    Attributes:
        datasets: ids of those to search.
        backbone: whose features are compared.
        image_size: of the pictures that it looks at.
        limit: most pictures to find.
        sha256: of the picture; None: its bytes are sent beside the query.
        crop: the part of it that is meant.
        image: the id of the picture's own image, which is not an answer.
    """

    datasets: list[str]
    backbone: str
    image_size: int
    limit: int
    sha256: str | None = None
    crop: Box | None = None
    image: str | None = None


@dataclass(frozen=True)
class MapQuery:
    """A question for the positions of a data set's images in the plane, of at most `limit` of them."""

    dataset: str
    backbone: str
    image_size: int
    limit: int


def pack(header: dict[str, Any], parts: Sequence[bytes] = ()) -> bytes:
    line = json.dumps(header | {"sizes": [len(part) for part in parts]}, separators=(",", ":"))
    return b"".join([line.encode(), b"\n", *parts])


def read_frame(file: IO[bytes] | BufferedIOBase) -> Frame | None:
    """Return the next frame; None if the other side closed the connection between two.

    Raises:
        RpcBroken: it is truncated or malformed.
    """
    line = file.readline(HEADER_BYTES)
    if not line:
        return None
    header, sizes = unpack(line)
    parts = [file.read(size) for size in sizes]
    if any(len(part) != size for part, size in zip(parts, sizes, strict=True)):
        raise RpcBroken("the connection ended in the middle of a frame")
    return header, parts


async def receive_frame(reader: asyncio.StreamReader) -> Frame:
    """As `read_frame`, but a frame must follow.

    Raises:
        RpcBroken: none did.
    """
    try:
        header, sizes = unpack(await reader.readline())
        return header, [await reader.readexactly(size) for size in sizes]
    except (asyncio.IncompleteReadError, ValueError) as error:
        raise RpcBroken("the connection ended in the middle of a frame") from error


def unpack(line: bytes) -> tuple[dict[str, Any], list[int]]:
    try:
        header = read_json(line)
        sizes = [int(size) for size in header.pop("sizes")]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RpcBroken("this is no frame") from error
    if any(size < 0 for size in sizes) or sum(sizes) > PARTS_BYTES:
        raise RpcBroken("a frame that is too large")
    return header, sizes


def challenge() -> str:
    return secrets.token_hex(NONCE_BYTES)


def proof(secret: str, side: str, nonce: str) -> str:
    """Return a proof of knowing the secret; `side` prevents sending back the other side's own proof."""
    return hmac.new(secret.encode(), f"{side}:{nonce}".encode(), "sha256").hexdigest()


def is_proof(given: object, secret: str, side: str, nonce: str) -> bool:
    return isinstance(given, str) and hmac.compare_digest(given, proof(secret, side, nonce))
