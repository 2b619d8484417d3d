"""The line between API and worker: our frames on a connection, beside HTTP by uvicorn and httpx2, with one payload.

    python -m bench.predict_rpc [--json]

A worker's process answers one picture with a row and its probabilities, at once (`wire`) or after the time of a forward
pass (`pass`). One caller and 32 ask it by each way, in turns: `frames` is what the service does, `tcp` and `unix` are
HTTP with the secret as a bearer token. `*_p50_ms` and `*_p95_ms` are of all calls of all rounds, and `*_vs_frames` the
p50 over that of `frames`.
"""

import asyncio
import hmac
import io
import multiprocessing
import platform
import socket
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import httpx2
import numpy as np
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.predict_rpc import AT_ONCE, PredictClient
from bench.report import parse, show
from bench.throughput.timing import p95
from tsukiji.kernel.predict_rpc import Frame, RpcAddress, pack, read_frame
from worker.inference.predict_rpc import PredictServer

CALLERS: Final = (1, 32)
PASS_SECONDS: Final = 0.03
PICTURE_BYTES: Final = 100_000
LABELS: Final = 100
SECRET: Final = "s" * 64
ROW: Final = {"width": 500, "height": 375, "label": "tuna", "score": 0.8, "known_score": 0.6}

Ask = Callable[[], Awaitable[None]]


def answer(model_id: str, files: list[bytes]) -> Frame:
    if model_id == "pass":
        time.sleep(PASS_SECONDS)
    return {"rows": [ROW for _ in files]}, [np.zeros(LABELS, np.float32).tobytes() for _ in files]


async def predict(request: Request) -> Response:
    """What a worker would be over HTTP."""
    if not hmac.compare_digest(request.headers.get("authorization", ""), f"Bearer {SECRET}"):
        return Response(status_code=401)
    header, files = read_frame(io.BytesIO(await request.body())) or ({}, [])
    return Response(pack(*await run_in_threadpool(answer, str(header["model"]), files)))


def serve(pipe: Connection, unix: str) -> None:
    """Listen in all three ways, and say where, until the other end of the pipe is closed."""
    predict_server = PredictServer("127.0.0.1")
    predict_server.serve(answer)
    app = Starlette(routes=[Route("/predict", predict, methods=["POST"])])
    tcp = socket.create_server(("127.0.0.1", 0), backlog=128)
    tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # a connection that it accepts has it, too
    config = uvicorn.Config(app, log_level="warning", lifespan="off")
    server = uvicorn.Server(config)
    path = socket.socket(socket.AF_UNIX)
    path.bind(unix)
    pipe.send((predict_server.address("worker"), tcp.getsockname()[1]))
    asyncio.run(server.serve([tcp, path]))


async def measure(address: RpcAddress, port: int, unix: str, calls: int, rounds: int) -> dict[str, Any]:
    picture = np.random.default_rng(0).bytes(PICTURE_BYTES)
    client = PredictClient()
    limits = httpx2.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)
    headers = {"authorization": f"Bearer {SECRET}"}
    over_unix = httpx2.AsyncHTTPTransport(uds=unix, limits=limits)
    figures: dict[str, Any] = {}
    async with (
        httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, limits=limits) as tcp,
        httpx2.AsyncClient(base_url="http://worker", headers=headers, transport=over_unix) as local,
    ):
        for work in ("wire", "pass"):

            async def by_frames(work: str = work) -> None:
                found = await client.ask([address], work, [picture])
                assert found is not None
                assert len(found.rows) == 1

            def by_http(http: httpx2.AsyncClient, work: str = work) -> Ask:
                async def ask() -> None:
                    found = await http.post("/predict", content=pack({"model": work}, [picture]))
                    frame = read_frame(io.BytesIO(found.content))
                    assert frame is not None
                    assert len(frame[1]) == 1

                return ask

            ways: dict[str, Ask] = {"frames": by_frames, "tcp": by_http(tcp), "unix": by_http(local)}
            for callers in CALLERS:
                taken: dict[str, list[float]] = {way: [] for way in ways}
                await asyncio.gather(*(call(way, callers, callers) for way in ways.values()))  # opens the connections
                for number in range(rounds):
                    order = list(ways)[number % len(ways) :] + list(ways)[: number % len(ways)]
                    for way in order:
                        taken[way] += await call(ways[way], callers, max(calls // rounds, callers))
                middle = {way: statistics.median(times) for way, times in taken.items()}
                for way, times in taken.items():
                    name = f"{work}_{callers}_{way}"
                    figures[f"{name}_p50_ms"] = 1000 * middle[way]
                    figures[f"{name}_p95_ms"] = 1000 * p95(times)
                    figures[f"{name}_vs_frames"] = middle[way] / middle["frames"]
        client.close()
    return figures


async def call(ask: Ask, callers: int, calls: int) -> list[float]:
    """Return the seconds of each call; each caller makes one at a time."""
    taken: list[float] = []

    async def caller() -> None:
        while len(taken) < calls:
            began = time.perf_counter()
            await ask()
            taken.append(time.perf_counter() - began)

    await asyncio.gather(*(caller() for _ in range(callers)))
    return taken


def main() -> None:
    options = parse(__doc__).parse_args()
    calls, rounds = (60, 3) if options.quick else (1200, 6)
    with tempfile.TemporaryDirectory() as scratch:
        unix, (ours, theirs) = str(Path(scratch) / "rpc"), multiprocessing.Pipe()
        worker = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs, unix), daemon=True)
        worker.start()
        address, port = ours.recv()
        figures = asyncio.run(measure(address, port, unix, calls, rounds))
        worker.terminate()
        worker.join()
    facts = {"calls": calls, "rounds": rounds, "picture_bytes": PICTURE_BYTES, "python": platform.python_version()}
    show("predict-rpc", figures | facts, as_json=options.json)


if __name__ == "__main__":
    main()
