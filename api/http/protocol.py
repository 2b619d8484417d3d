"""Limits of HTTP/1.1 below the application: size and time of request heads, and concurrent connections."""

import asyncio
import heapq
import logging
from typing import Any, Final

from starlette.responses import JSONResponse
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from api.http.errors import HeadersTooLarge, RequestMalformed, RequestTimedOut, TooManyConnections, problem_response
from api.http.refused_connections import Refusals
from tsukiji.errors import TsukijiError
from tsukiji.kernel.settings import Settings

PIPELINED: Final = 16
"""Requests that a client may send before it has read the first response."""
ROOM: Final = 50
"""When the server is full, one in this many of the allowed connections is closed."""
PIPELINED_BYTES: Final = 2**20
LINGER_SECONDS: Final = 2
"""After a response that ends a connection, what still arrives is discarded for this time: a connection that is closed
at once is reset, and the client never reads the response."""
QUIET: Final = logging.getLogger("uvicorn.error.http")
QUIET.setLevel(logging.ERROR)  # a client could fill the log with malformed requests; `refusals` is limited


class Bounds:
    """State shared by all connections of a server."""

    def __init__(self, settings: Settings, connections: int) -> None:
        self.head_bytes = settings.limits.head_bytes
        self.head_fields = settings.limits.head_fields
        self.head_seconds = settings.api.head_seconds
        self.body_seconds = settings.api.body_seconds
        self.connections = connections
        self.refusals = Refusals()

    def protocol(self, **options: Any) -> "BoundedProtocol":
        """Return the protocol of one connection; uvicorn calls this in place of a class."""
        return BoundedProtocol(self, **options)


class BoundedProtocol(HttpToolsProtocol):
    """One connection: uvicorn's protocol, with a count of the bytes received since the last progress.

    The parser buffers an unfinished line, so the limit is on the bytes fed to it: since the last head, piece of a body
    or end of a request at most `head_bytes` and one read. This also limits the framing of a body (chunk extensions,
    trailers). The bytes of a head are counted again when it is parsed.
    """

    def __init__(self, bounds: Bounds, **options: Any) -> None:
        super().__init__(**options)
        self.logger = QUIET
        self.bounds = bounds
        self.heard_at = self.loop.time()
        self._refused = False
        self._cause: TsukijiError | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._in_head = self._in_body = False
        self._unfinished = 0
        self._head_bytes = self._head_fields = 0
        self._cycles: list[RequestResponseCycle] = []
        """Unanswered requests; `cycle` is the last of them."""

    @property
    def waits_for_client(self) -> bool:
        """Return whether the client must act: send a request or the rest of one, or read."""
        return not self._is_answering or self._in_body or self.flow.write_paused

    @property
    def _is_answering(self) -> bool:
        return any(not cycle.response_complete for cycle in self._cycles)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._time(self.bounds.head_seconds)
        if len(self.connections) > self.bounds.connections:
            self._make_room()

    def _make_room(self) -> None:
        """Close connections whose clients have been silent for longest, so that the next client is served.

        Some at once: looking for them costs more than closing. If all others are being served, this one is refused.
        """
        others = [one for one in self.connections if isinstance(one, BoundedProtocol) and one is not self]
        open_ones = [one for one in others if not one.transport.is_closing()]
        if len(open_ones) < self.bounds.connections:
            return
        if idle := [one for one in open_ones if one.waits_for_client]:
            for one in heapq.nsmallest(-(-self.bounds.connections // ROOM), idle, key=lambda one: one.heard_at):
                one.drop("connections_full")
        else:
            self.refuse(TooManyConnections())

    def connection_lost(self, exc: Exception | None) -> None:
        self._let_go()
        super().connection_lost(exc)
        self._untime()

    def _let_go(self) -> None:
        """Notify every request that its client has gone; uvicorn notifies only the last one."""
        for cycle in self._cycles:
            cycle.disconnected = True
            cycle.message_event.set()

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        self.heard_at = self.loop.time()
        self._unfinished += len(data)
        super().data_received(data)
        if self._unfinished > self.bounds.head_bytes and not self._refused:
            self.refuse(self._too_large())
        elif self._has_begun and self._timer is None:
            self._time(self.bounds.head_seconds)

    @property
    def _has_begun(self) -> bool:
        """Return whether part of a head has arrived, or empty lines before one."""
        return self._in_head or (self._unfinished > 0 and not self._in_body)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._head_bytes, self._head_fields = True, 0, 0

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_fields += 1
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > self.bounds.head_bytes or self._head_fields > self.bounds.head_fields:
            self._give_up(self._too_large())

    def _too_large(self) -> TsukijiError:
        limits = f"at most {self.bounds.head_bytes:,} bytes and {self.bounds.head_fields:,} header fields"
        return HeadersTooLarge(f"A request may have {limits}.")

    def on_headers_complete(self) -> None:
        self._untime()
        self._unfinished, self._in_head, self._in_body = 0, False, True
        if len(self.pipeline) >= PIPELINED:
            self._give_up(
                RequestMalformed(f"More than {PIPELINED} requests arrived before the first one was answered.")
            )
        super().on_headers_complete()
        self._cycles = [cycle for cycle in self._cycles if not cycle.response_complete] + [self.cycle]

    def on_body(self, body: bytes) -> None:
        self._unfinished = 0
        if self.pipeline and len(self.cycle.body) > PIPELINED_BYTES:
            self._give_up(RequestMalformed("A body arrived before the earlier requests were answered."))
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._untime()
        self._unfinished, self._in_body = 0, False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._in_body:  # refused before all of it arrived; the rest is discarded, for a limited time
            self._time(self.bounds.body_seconds)

    def resume_writing(self) -> None:
        self.heard_at = self.loop.time()
        super().resume_writing()

    def _give_up(self, error: TsukijiError) -> None:
        """Stop the parser, which then requests a response."""
        self._cause = error
        raise error

    def send_400_response(self, msg: str) -> None:
        """Answer what the parser refuses, or we do."""
        self.refuse(self._cause or RequestMalformed())

    def refuse(self, error: TsukijiError) -> None:
        """Send a problem if no response is in progress, and end the connection."""
        self._refused = True
        self.bounds.refusals.note(error.code, self.client)
        if self.transport.is_closing():
            return
        if not self._is_answering:
            self.transport.write(encode(problem_response(error, None, {"connection": "close"})))
            if self.transport.can_write_eof():
                self.transport.write_eof()
            self._time(LINGER_SECONDS)
        else:
            self._let_go()
            self.transport.close()

    def drop(self, reason: str) -> None:
        """End the connection without a response."""
        self.bounds.refusals.note(reason, self.client)
        self.transport.abort()

    def _time(self, seconds: float) -> None:
        self._untime()
        self._timer = self.loop.call_later(seconds, self._time_out)

    def _untime(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _time_out(self) -> None:
        self._timer = None
        if self.transport.is_closing():
            return
        if self._refused or self._in_body:
            self.transport.abort()
        elif self._is_answering:
            self._time(self.bounds.head_seconds)  # the next request is slow to arrive while this one is still answered
        elif self._has_begun:
            self.refuse(RequestTimedOut(f"The request's headers did not arrive within {self.bounds.head_seconds:g} s."))
        else:
            self.transport.close()  # an idle connection


def encode(response: JSONResponse) -> bytes:
    """Return a response as bytes."""
    fields = [name + b": " + value + b"\r\n" for name, value in response.raw_headers]
    return b"".join([STATUS_LINE[response.status_code], *fields, b"\r\n", bytes(response.body)])
