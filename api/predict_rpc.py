"""Asking a worker directly: its lane answers a prediction on the line, and nobody waits for a message or polls a row.

Whatever goes wrong here is no error: who asks then queues the prediction like any other work.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from tsukiji.kernel.predict_rpc import (
    HEADER_BYTES,
    LaneAddress,
    LaneBroken,
    challenge,
    is_proof,
    pack,
    proof,
    receive_frame,
)

log = structlog.get_logger(__name__)

CONNECT_SECONDS: Final = 2
"""A worker that computes on all cores is slow to greet many callers at once."""
ANSWER_SECONDS: Final = 10
SHUN_SECONDS: Final = 30
"""A worker that cannot be reached, or broke off, is left alone for this long."""
AT_ONCE: Final = 64
"""Questions under way to one worker; with more than that the queue is no slower."""


@dataclass(frozen=True)
class Answer:
    """What a worker says of some files: a row for each, as `db.jobs.batches.finish_chunk` takes them, less `seq`."""

    worker: str
    rows: list[dict[str, Any]]


@dataclass
class Line:
    """A connection that both sides have proved themselves on."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, header: dict[str, Any], parts: Sequence[bytes] = ()) -> tuple[dict[str, Any], list[bytes]]:
        self.writer.write(pack(header, parts))
        await self.writer.drain()
        return await receive_frame(self.reader)

    def close(self) -> None:
        self.writer.close()


@dataclass
class Lanes:
    """The lanes of all workers, with the connections that are open. For one event loop."""

    _idle: dict[LaneAddress, list[Line]] = field(default_factory=lambda: defaultdict(list))
    _busy: dict[LaneAddress, int] = field(default_factory=lambda: defaultdict(int))
    _shunned: dict[LaneAddress, float] = field(default_factory=dict)
    _told: set[str] = field(default_factory=set)

    async def ask(
        self, lanes: Sequence[LaneAddress], model_id: str, files: Sequence[bytes], seconds: float = ANSWER_SECONDS
    ) -> Answer | None:
        """Return the first answer of one of the lanes, the least busy first; None where none has one in time."""
        there = [lane for lane in lanes if self._shunned.get(lane, 0.0) < time.monotonic()]
        for lane in sorted(there, key=lambda lane: self._busy[lane]):
            if self._busy[lane] >= AT_ONCE:
                continue
            self._busy[lane] += 1
            try:
                async with asyncio.timeout(min(seconds, ANSWER_SECONDS)):
                    header, parts = await self._question(lane, {"model": model_id}, files)
                if "rows" in header:
                    return Answer(lane.worker, complete(header["rows"], parts))
            except TimeoutError as error:
                if seconds >= ANSWER_SECONDS:
                    self._shun(lane, error)
                return None
            except (OSError, KeyError, TypeError, ValueError) as error:
                self._shun(lane, error)
            finally:
                self._busy[lane] -= 1
        return None

    def close(self) -> None:
        for lines in self._idle.values():
            for line in lines:
                with suppress(RuntimeError):  # its event loop has ended already
                    line.close()
        self._idle.clear()

    async def _question(
        self, lane: LaneAddress, header: dict[str, Any], files: Sequence[bytes]
    ) -> tuple[dict[str, Any], list[bytes]]:
        line = self._idle[lane].pop() if self._idle[lane] else await connect(lane)
        try:
            answer = await line.ask(header, files)
        except BaseException:
            line.close()  # an answer may still come, to a question that nobody waits for
            raise
        self._idle[lane].append(line)
        return answer

    def _shun(self, lane: LaneAddress, error: Exception) -> None:
        self._shunned[lane] = time.monotonic() + SHUN_SECONDS
        while self._idle[lane]:
            self._idle[lane].pop().close()
        if lane.worker not in self._told:  # once: where workers are out of reach it would be so for ever
            self._told.add(lane.worker)
            log.warning("lane_unreachable", worker=lane.worker, host=lane.host, port=lane.port, error=repr(error))


async def connect(lane: LaneAddress) -> Line:
    """Open a connection, and prove both sides to each other.

    Raises:
        OSError: it cannot be reached, or is somebody else.
    """
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            line = Line(*await asyncio.open_connection(lane.host, lane.port, limit=HEADER_BYTES))
            try:
                await greet(line, lane.secret)
            except BaseException:
                line.close()
                raise
    except TimeoutError as error:
        raise LaneBroken(f"no handshake within {CONNECT_SECONDS} s") from error
    return line


async def greet(line: Line, secret: str) -> None:
    greeting, _ = await receive_frame(line.reader)
    nonce = challenge()
    theirs, _ = await line.ask({"proof": proof(secret, "api", str(greeting.get("nonce"))), "nonce": nonce})
    if not is_proof(theirs.get("proof"), secret, "worker", nonce):
        raise LaneBroken("the listener is not that worker")


def complete(rows: list[dict[str, Any]], parts: list[bytes]) -> list[dict[str, Any]]:
    """Return the rows, each readable picture's with the probabilities that came beside.

    Raises:
        ValueError: these are more or fewer.
    """
    readable = [row for row in rows if "error" not in row]
    for row, probabilities in zip(readable, parts, strict=True):
        row["probabilities"] = probabilities
    return rows
