"""What reaches the service before it is a request: bytes without an end, bytes that do not come, too many clients."""

import asyncio
import json
from contextlib import asynccontextmanager, suppress

import pytest
import uvicorn
from uvicorn.server import ServerState

from api.http.protocol import PIPELINED, Bounds
from tsukiji.kernel.settings import ApiSettings, LimitSettings, Settings

PIECE = b"a" * 65_536
PIECES = 400
"""Together far more than any socket's buffers hold: who sends them all was read for as long."""
PATIENCE = 60
ASK = b"GET / HTTP/1.1\r\nHost: x\r\n"
WHOLE = ASK + b"\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


async def answer(scope, receive, send):
    """Read the body, wait at `/held` for the client to go, and say how large the body was."""
    size, more = 0, scope["path"] != "/unread"
    while more:
        message = await receive()
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    if scope["path"] == "/held":
        await receive()
    body = str(size).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


class Served:
    """A server in this process, with the application above."""

    def __init__(self, port, tasks):
        self.port, self.tasks = port, tasks
        self.writers = []

    async def connect(self, sent=b""):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writers.append(writer)
        writer.write(sent)
        return reader, writer

    async def ask(self, *pieces):
        """Return status and body of the first answer to what is sent, and whether everything could be sent."""
        reader, writer = await self.connect()
        sending = asyncio.create_task(send(writer, pieces))
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        body = await reader.readexactly(length)
        done = sending.done() and sending.exception() is None
        sending.cancel()
        with suppress(asyncio.CancelledError, OSError):
            await sending
        return int(head.split()[1]), body, done


async def send(writer, pieces):
    for piece in pieces:
        writer.write(piece)
        await writer.drain()


async def drip(writer):
    """Keep the connection from being idle for as long as it is there."""
    while True:
        await send(writer, [b"a"])
        await asyncio.sleep(0.02)


@asynccontextmanager
async def serving(connections=1000, **times):
    settings = Settings(limits=LimitSettings(head_bytes=8192, head_fields=20), api=ApiSettings(**times))
    config = uvicorn.Config(answer, log_config=None, ws="none")
    config.load()
    bounds, state = Bounds(settings, connections), ServerState()

    def protocol():
        return bounds.protocol(config=config, server_state=state, app_state={})

    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
    async with server:
        served = Served(server.sockets[0].getsockname()[1], state.tasks)
        yield served
        for writer in served.writers:
            writer.transport.abort()
        for connection in list(state.connections):
            connection.transport.abort()
        await asyncio.gather(*state.tasks, return_exceptions=True)


def run(act, **options):
    async def main():
        async with asyncio.timeout(PATIENCE), serving(**options) as served:
            return await act(served)

    return asyncio.run(main())


def refusals(logged):
    return [line["reason"] for line in logged if line["event"] == "connection_refused"]


@pytest.mark.parametrize(
    "beginning",
    [b"", b"GET / HTTP/1.1\r\nX: ", b"GET /", b"GET / HTTP/1.1\r\n"],
    ids=["method", "value", "address", "name"],
)
def test_a_head_without_an_end_is_refused_while_it_comes(beginning, logged):
    status, body, sent_all = run(lambda served: served.ask(beginning, *[PIECE] * PIECES))
    assert (status, sent_all) in {(431, False), (400, False)}
    assert json.loads(body)["code"] in {"headers_too_large", "request_malformed"}
    (line,) = [line for line in logged if line["event"] == "connection_refused"]
    assert line["client"] == "127.0.0.1"


@pytest.mark.parametrize(
    "pieces",
    [
        [ASK + b"".join(b"x%d: a\r\n" % number for number in range(30)) + b"\r\n"],
        [ASK, *[b"x: " + b"a" * 999 + b"\r\n"] * 9, b"\r\n"],
        [b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n"],
        [b"\r\n" * 50_000],
    ],
    ids=["fields", "bytes", "address", "nothing"],
)
def test_a_head_that_is_too_large_is_told_so(pieces):
    status, body, _ = run(lambda served: served.ask(*pieces))
    assert (status, json.loads(body)["code"]) == (431, "headers_too_large")


def test_a_head_within_the_bounds_may_come_in_pieces():
    async def act(served):
        return await served.ask(ASK, *[b"x: " + b"a" * 997 + b"\r\n"] * 7, b"\r\n")

    assert run(act)[:2] == (200, b"0")


@pytest.mark.parametrize("beginning", [b"5;", b"1\r\na\r\n0\r\nX: "], ids=["extension", "trailer"])
def test_what_frames_a_body_has_the_bound_of_a_head(beginning, logged):
    async def act(served):
        reader, writer = await served.connect(CHUNKED + beginning)
        with pytest.raises(OSError, match=r"\w"):
            await send(writer, [PIECE] * PIECES)
        with suppress(OSError):
            return await reader.read()

    assert run(act) in {b"", None}
    assert refusals(logged) == ["headers_too_large"]


def test_bodies_are_no_heads():
    pieces = [b"%x\r\n%s\r\n" % (len(PIECE), PIECE)] * 10
    assert run(lambda served: served.ask(CHUNKED, *pieces, b"0\r\n\r\n"))[:2] == (200, b"%d" % (10 * len(PIECE)))


def test_what_is_no_http_is_told_so(logged):
    status, body, _ = run(lambda served: served.ask(b"\x16\x03\x01\x02\x00\x01"))
    assert (status, json.loads(body)["code"]) == (400, "request_malformed")
    assert refusals(logged) == ["request_malformed"]


@pytest.mark.parametrize("sent", [ASK, WHOLE + ASK, b"\r\n"], ids=["first", "second", "line"])
def test_a_head_that_does_not_come_is_given_up(sent, logged):
    async def act(served):
        reader, _ = await served.connect(sent)
        return await reader.read()

    assert b"request_timeout" in run(act, head_seconds=0.2)
    assert refusals(logged) == ["request_timeout"]


def test_who_says_nothing_is_let_go_without_a_word(logged):
    async def act(served):
        reader, _ = await served.connect()
        return await reader.read()

    assert run(act, head_seconds=0.2) == b""
    assert refusals(logged) == []


def test_a_body_that_nobody_reads_is_not_waited_for_for_ever():
    async def act(served):
        reader, writer = await served.connect(b"POST /unread HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n")
        assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
        with pytest.raises(OSError, match=r"\w"):
            await drip(writer)

    run(act, body_seconds=0.3)


def test_idle_connections_shut_nobody_out(logged):
    async def act(served):
        for number in range(40):
            await served.connect(ASK if number % 2 else b"")
        return [await served.ask(WHOLE) for _ in range(5)]

    assert run(act, connections=10) == [(200, b"0", True)] * 5
    lines = [line for line in logged if line["event"] == "connection_refused"]
    assert {line["reason"] for line in lines} == {"connections_full"}
    assert 0 < len(lines) <= 10  # and not one for each


def test_slow_bodies_shut_nobody_out():
    async def act(served):
        for _ in range(40):
            await served.connect(b"POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\na")
        return await served.ask(WHOLE)

    assert run(act, connections=10)[:2] == (200, b"0")


def test_who_is_served_is_not_interrupted(logged):
    async def act(served):
        held = [await served.connect(b"GET /held HTTP/1.1\r\n\r\n") for _ in range(3)]
        while len(served.tasks) < len(held):
            await asyncio.sleep(0.01)
        status, body, _ = await served.ask(WHOLE)
        assert not any(reader.at_eof() for reader, _ in held)
        return status, json.loads(body)["code"]

    assert run(act, connections=3) == (503, "too_many_connections")
    assert refusals(logged) == ["too_many_connections"]


def test_requests_in_advance_are_answered_in_turn():
    async def act(served):
        reader, _ = await served.connect(WHOLE * PIPELINED)
        for _ in range(PIPELINED):
            assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(1)

    run(act)


def test_too_many_requests_in_advance_end_the_connection(logged):
    async def act(served):
        reader, _ = await served.connect(b"GET /held HTTP/1.1\r\n\r\n" + WHOLE * 100)
        return await reader.read()

    assert run(act) == b""
    assert refusals(logged) == ["request_malformed"]
