"""The client of the predict RPC: asks a worker directly, without messages and polling.

Failures are no errors: the caller then queues the prediction like other work.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import structlog

from tsukiji.kernel.predict_rpc import (
    HEADER_BYTES,
    Frame,
    MapQuery,
    RpcAddress,
    RpcBroken,
    SimilarQuery,
    challenge,
    is_proof,
    pack,
    proof,
    receive_frame,
)

log = structlog.get_logger(__name__)

CONNECT_SECONDS: Final = 2
"""A worker that computes on all cores is slow to accept many connections at once."""
ANSWER_SECONDS: Final = 10
COMPARE_SECONDS: Final = 30
"""The first search of a data set reads all its features."""
SHUN_SECONDS: Final = 30
"""An unreachable or failing worker is not used for this long."""
AT_ONCE: Final = 64
"""Most requests in progress per worker; beyond that the queue is no slower."""


@dataclass(frozen=True)
class Answer:
    """A worker's results for some files: a row for each, as in `db.jobs.batches.finish_chunk`, without `seq`."""

    worker: str
    rows: list[dict[str, Any]]


@dataclass
class Line:
    """An authenticated connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, header: dict[str, Any], parts: Sequence[bytes] = ()) -> tuple[dict[str, Any], list[bytes]]:
        self.writer.write(pack(header, parts))
        await self.writer.drain()
        return await receive_frame(self.reader)

    def close(self) -> None:
        self.writer.close()


@dataclass
class PredictClient:
    """Connections to the predict RPC of all workers. For one event loop."""

    _idle: dict[RpcAddress, list[Line]] = field(default_factory=lambda: defaultdict(list))
    _busy: dict[RpcAddress, int] = field(default_factory=lambda: defaultdict(int))
    _shunned: dict[RpcAddress, float] = field(default_factory=dict)
    _reported: set[str] = field(default_factory=set)

    async def ask(
        self, addresses: Sequence[RpcAddress], model_id: str, files: Sequence[bytes], seconds: float = ANSWER_SECONDS
    ) -> Answer | None:
        """Return the first answer, trying the least busy worker first; None if none answers in time."""
        there = [address for address in addresses if self._shunned.get(address, 0.0) < time.monotonic()]
        for address in sorted(there, key=lambda address: self._busy[address]):
            if self._busy[address] >= AT_ONCE:
                continue
            self._busy[address] += 1
            try:
                async with asyncio.timeout(min(seconds, ANSWER_SECONDS)):
                    header, parts = await self._request(address, {"model": model_id}, files)
                if "rows" in header:
                    return Answer(address.worker, complete(header["rows"], parts))
            except TimeoutError as error:
                if seconds >= ANSWER_SECONDS:
                    self._shun(address, error)
                return None
            except (OSError, KeyError, TypeError, ValueError) as error:
                self._shun(address, error)
            finally:
                self._busy[address] -= 1
        return None

    async def compare(
        self, addresses: Sequence[RpcAddress], query: SimilarQuery | MapQuery, files: Sequence[bytes] = ()
    ) -> Frame | None:
        """Return the first answer (see `worker.inference.similar_pictures`); None if no worker answers in time."""
        header = {"compare": "map" if isinstance(query, MapQuery) else "similar", "query": asdict(query)}
        for address in sorted(addresses, key=lambda address: self._busy[address]):
            self._busy[address] += 1
            try:
                async with asyncio.timeout(COMPARE_SECONDS):
                    answer = await self._request(address, header, files)
            except TimeoutError:
                return None
            except OSError as error:
                self._shun(address, error)
            else:
                if "refused" not in answer[0]:
                    return answer
            finally:
                self._busy[address] -= 1
        return None

    def close(self) -> None:
        for lines in self._idle.values():
            for line in lines:
                with suppress(RuntimeError):  # its event loop has ended already
                    line.close()
        self._idle.clear()

    async def _request(
        self, address: RpcAddress, header: dict[str, Any], files: Sequence[bytes]
    ) -> tuple[dict[str, Any], list[bytes]]:
        line = self._idle[address].pop() if self._idle[address] else await connect(address)
        try:
            answer = await line.ask(header, files)
        except BaseException:
            line.close()  # a late answer must not be taken for that of the next request
            raise
        self._idle[address].append(line)
        return answer

    def _shun(self, address: RpcAddress, error: Exception) -> None:
        self._shunned[address] = time.monotonic() + SHUN_SECONDS
        while self._idle[address]:
            self._idle[address].pop().close()
        if address.worker not in self._reported:  # log once: unreachable workers usually stay unreachable
            self._reported.add(address.worker)
            log.warning(
                "lane_unreachable", worker=address.worker, host=address.host, port=address.port, error=repr(error)
            )


async def connect(address: RpcAddress) -> Line:
    """Open a connection and authenticate both sides.

    Raises:
        OSError: the worker is unreachable, or another process answers.
    """
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            line = Line(*await asyncio.open_connection(address.host, address.port, limit=HEADER_BYTES))
            try:
                await greet(line, address.secret)
            except BaseException:
                line.close()
                raise
    except TimeoutError as error:
        raise RpcBroken(f"no handshake within {CONNECT_SECONDS} s") from error
    return line


async def greet(line: Line, secret: str) -> None:
    greeting, _ = await receive_frame(line.reader)
    nonce = challenge()
    theirs, _ = await line.ask({"proof": proof(secret, "api", str(greeting.get("nonce"))), "nonce": nonce})
    if not is_proof(theirs.get("proof"), secret, "worker", nonce):
        raise RpcBroken("the listener is not that worker")


def complete(rows: list[dict[str, Any]], parts: list[bytes]) -> list[dict[str, Any]]:
    """Return the rows, adding to each readable picture's the probabilities sent beside them.

    Raises:
        ValueError: their numbers differ.
    """
    readable = [row for row in rows if "error" not in row]
    for row, probabilities in zip(readable, parts, strict=True):
        row["probabilities"] = probabilities
    return rows
