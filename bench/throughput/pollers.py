"""Many clients that poll one batch, in a process of their own."""

import asyncio
import random
import time
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from typing import Final
from urllib.parse import urlsplit

LOOK_SECONDS: Final = 0.1
PAUSE_SECONDS: Final = 5.0
"""Where the service names none."""

Line = tuple[asyncio.StreamReader, asyncio.StreamWriter]

_over: Event


@dataclass(frozen=True)
class Pollers:
    url: str
    place: str
    headers: dict[str, str]
    clients: int
    arrival_seconds: float
    """Within which all of them come: nobody's users do in the same instant."""


def prepare(over: Event) -> None:
    """Make this process know when to stop."""
    global _over
    _over = over


def poll(pollers: Pollers) -> list[float]:
    """Poll until told to stop; returns the seconds that each look took."""
    return asyncio.run(_poll(pollers))


async def _poll(pollers: Pollers) -> list[float]:
    taken: list[float] = []
    clients = [asyncio.create_task(_client(pollers, chance, taken)) for chance in _chances(pollers.clients)]
    while not _over.is_set() and not any(client.done() for client in clients):
        await asyncio.sleep(LOOK_SECONDS)
    for client in clients:
        client.cancel()
    for outcome in await asyncio.gather(*clients, return_exceptions=True):
        if isinstance(outcome, Exception):
            raise outcome
    return taken


def _chances(clients: int) -> list[float]:
    source = random.Random(0)
    return [source.random() for _ in range(clients)]


async def _client(pollers: Pollers, chance: float, taken: list[float]) -> None:
    """Written by hand: a library's client would cost more than the service."""
    await asyncio.sleep(chance * pollers.arrival_seconds)
    address = urlsplit(pollers.url)
    headers, line = {"host": address.netloc, **pollers.headers}, None
    try:
        while True:
            lines = [f"GET {pollers.place} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
            question, asked = "\r\n".join([*lines, "", ""]).encode(), time.monotonic()
            answer = line and await _ask(line, question)
            while not answer:
                line = await asyncio.open_connection(address.hostname, address.port)
                answer = await _ask(line, question)
            taken.append(time.monotonic() - asked)
            headers["if-none-match"] = answer["etag"]
            await asyncio.sleep(float(answer.get("retry-after", PAUSE_SECONDS)))
    finally:
        if line:
            line[1].close()


async def _ask(line: Line, question: bytes) -> dict[str, str] | None:
    """Return the headers of the answer; None where the line was closed: servers do that to lines that rest."""
    reader, writer = line
    try:
        writer.write(question)
        return await _read_answer(reader)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()
        return None


async def _read_answer(reader: asyncio.StreamReader) -> dict[str, str]:
    """Return the headers of an answer, its body read.

    Raises:
        RuntimeError: it is a refusal.
    """
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
    await reader.readexactly(int(headers.get("content-length", 0)))
    status = int(head[0].split()[1])
    if status not in {200, 304}:
        raise RuntimeError(f"{status} to a poll")
    return headers
