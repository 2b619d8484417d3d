"""Hostile clients: many of them, in one process with one event loop."""

import asyncio
import io
import json
import random
import struct
import time
import zipfile
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

PIECE: Final = b"a" * 65_536
PAUSE: Final = 0.05
BOMB_SIDE: Final = 30_000
ZIP_BYTES: Final = 64 * 2**20


@dataclass(frozen=True)
class Target:
    host: str
    port: int
    key: str
    job: str
    """One that does nothing."""
    dataset: str
    seconds: float
    clients: int
    seed: int


class Attackers:
    """Clients that repeat an attack until the time is over; counts how each attempt ended."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.ends: Counter[str] = Counter()
        self.chance = random.Random(target.seed)
        self._until = time.monotonic() + target.seconds

    @property
    def is_over(self) -> bool:
        return time.monotonic() > self._until

    async def run(self, attack: "Attack") -> None:
        await asyncio.gather(*(self._repeat(attack) for _ in range(self.target.clients)))

    async def _repeat(self, attack: "Attack") -> None:
        await asyncio.sleep(self.chance.uniform(0, min(1, self.target.seconds / 4)))
        while not self.is_over:
            writer = None
            try:
                reader, writer = await asyncio.open_connection(self.target.host, self.target.port)
                async with asyncio.timeout(max(0.1, self._until - time.monotonic())):
                    await attack(self, reader, writer)
            except TimeoutError:
                self.ends["held"] += 1  # until the end of the attack
            except (OSError, asyncio.IncompleteReadError):
                self.ends["closed"] += 1
                await asyncio.sleep(PAUSE)
            finally:
                if writer is not None:
                    writer.transport.abort()

    async def answer(self, reader: asyncio.StreamReader) -> None:
        """Read a complete response, and count its status."""
        head = await reader.readuntil(b"\r\n\r\n")
        self.ends[head.split()[1].decode()] += 1
        with suppress(asyncio.IncompleteReadError, OSError):
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(length or 0))

    def request(
        self, method: str, path: str, body: bytes = b"", kind: str = "application/json", length: int = -1
    ) -> bytes:
        announced = len(body) if length < 0 else length
        fields = f"Host: {self.target.host}\r\nAuthorization: Bearer {self.target.key}\r\nContent-Type: {kind}\r\n"
        head = f"{method} {path} HTTP/1.1\r\n{fields}Content-Length: {announced}\r\n\r\n"
        return head.encode() + body


Attack = Callable[[Attackers, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def until_answered(
    attackers: Attackers, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, piece: bytes, pause: float
) -> None:
    """Send a piece repeatedly until there is a response."""
    answered = asyncio.create_task(attackers.answer(reader))
    try:
        while not answered.done():
            writer.write(piece)
            await writer.drain()
            await asyncio.wait({answered}, timeout=pause)
    finally:
        answered.cancel()
        with suppress(asyncio.CancelledError, asyncio.IncompleteReadError, OSError):
            await answered


async def headers(attackers: Attackers, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send an endless header, without a key."""
    writer.write(b"GET /v1/models HTTP/1.1\r\nX: ")
    await until_answered(attackers, reader, writer, PIECE, 0)


async def half_open(attackers: Attackers, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Begin a request, and add a header from time to time."""
    writer.write(b"GET /v1/models HTTP/1.1\r\n")
    await until_answered(attackers, reader, writer, b"X: a\r\n", 1)


async def idle(attackers: Attackers, reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Connect without sending anything."""
    if not await reader.read(1):
        attackers.ends["closed"] += 1


async def slow_bodies(attackers: Attackers, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Announce a body, and send a byte of it each second."""
    writer.write(attackers.request("POST", "/v1/datasets", length=10_000))
    await until_answered(attackers, reader, writer, b" ", 1)


async def pixel_bombs(attackers: Attackers, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send pictures of a few kilobytes and a billion pixels."""
    body, kind = form("files", bomb(), "bomb.png")
    writer.write(attackers.request("POST", f"/v1/datasets/{attackers.target.dataset}/images", body, kind))
    await attackers.answer(reader)


async def packages(attackers: Attackers, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send model packages that unpack to very much, or whose JSON is nested too deeply."""
    body, kind = form("package", package(deep=attackers.chance.random() < 0.5), "model.zip")
    writer.write(attackers.request("POST", "/v1/models", body, kind))
    await attackers.answer(reader)


async def streams(attackers: Attackers, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Follow a job that does nothing."""
    writer.write(attackers.request("GET", f"/v1/jobs/{attackers.target.job}/events"))
    head = await reader.readuntil(b"\r\n\r\n")
    if b" 200 " not in head:
        attackers.ends[head.split()[1].decode()] += 1
        await asyncio.sleep(1)
        return
    while await reader.read(65_536):
        pass


ATTACKS: Final[dict[str, tuple[Attack, int]]] = {
    "headers": (headers, 8),
    "half_open": (half_open, 200),
    "idle": (idle, 2500),
    "slow_bodies": (slow_bodies, 200),
    "pixel_bombs": (pixel_bombs, 8),
    "streams": (streams, 400),
    "packages": (packages, 8),
}
"""Attacks with their numbers of clients; packages come last, because their effects outlast the clients."""


def attack(name: str, target: Target) -> dict[str, int]:
    """Attack until the time is over; returns how often each end occurred: a status, `closed`, or `held`."""
    attackers = Attackers(target)
    asyncio.run(attackers.run(ATTACKS[name][0]))
    return dict(attackers.ends)


def form(name: str, content: bytes, filename: str) -> tuple[bytes, str]:
    head = f'--b\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n\r\n'
    return head.encode() + content + b"\r\n--b--\r\n", "multipart/form-data; boundary=b"


def bomb() -> bytes:
    """Return a PNG that is small until decoded."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", BOMB_SIDE, BOMB_SIDE, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(BOMB_SIDE) * 100, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def package(*, deep: bool) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr("manifest.json", "[" * 100_000 if deep else json.dumps({"files": {}}))
        archive.writestr("model.safetensors", b"" if deep else bytes(ZIP_BYTES))
    return file.getvalue()
