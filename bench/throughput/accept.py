"""How soon a batch is accepted: the median of a POST of 100 photos until its 202, less that of the same bytes to a bare
server that reads them and answers, in turns.

`accept_ms` is the difference, `receive_ms` what the bare server takes. `accept_vs_write` is the difference over the
time in which the same bytes are written to one file and synced (`write_ms`), also in turns.
"""

import multiprocessing
import os
import socket
import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx2
import uvicorn

from bench.throughput.served import Served, serve
from bench.throughput.stage import Figures, Stage
from bench.throughput.timing import p95, timed

IMAGES: Final = 100
ANSWER_SECONDS: Final = 60


def measure(stage: Stage) -> Figures:
    accepted, received, written, size = [], [], [], 0
    with serve(stage) as served, bare_server() as bare, httpx2.Client(timeout=ANSWER_SECONDS) as http:
        for number in range(stage.rounds):
            form = form_of(served, stage.fresh(f"images-{number}", IMAGES))
            size = len(form.read())
            elsewhere = httpx2.Request("POST", bare, content=form.content, headers={"content-type": content_type(form)})
            received.append(timed(partial(http.send, elsewhere))[0])
            written.append(timed(partial(write, stage.scratch / "written", form.content))[0])
            taken, answer = timed(partial(http.send, form))
            accepted.append(taken)
            give_up(served, answer)
    whole, receiving, writing = (statistics.median(times) for times in (accepted, received, written))
    return {
        "accept_ms": 1000 * (whole - receiving),
        "accept_vs_write": (whole - receiving) / writing,
        "accept_whole_ms": 1000 * whole,
        "accept_whole_ms_p95": 1000 * p95(accepted),
        "receive_ms": 1000 * receiving,
        "write_ms": 1000 * writing,
        "accept_bytes": size,
    }


def write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def form_of(served: Served, files: Sequence[Path]) -> httpx2.Request:
    parts = [("files", (file.name, file.read_bytes(), "image/jpeg")) for file in files]
    place = f"{served.url}/v1/batches"
    return httpx2.Request("POST", place, files=parts, data={"model": served.model}, headers=served.headers)


def content_type(form: httpx2.Request) -> str:
    return str(form.headers["content-type"])


def give_up(served: Served, answer: httpx2.Response) -> None:
    """Cancel a batch, and wait until nobody works on it any more.

    Raises:
        RuntimeError: it was not accepted.
    """
    if answer.status_code != 202:
        raise RuntimeError(f"{answer.status_code} {answer.text[:300]}")
    batch = served.client.batches.get(answer.json()["id"])
    batch.cancel()
    batch.wait(raise_on_error=False)


@contextmanager
def bare_server() -> Iterator[str]:
    """Run uvicorn, as the service has it, with an application that reads the body and answers; yields its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = multiprocessing.get_context("spawn").Process(target=serve_bare, args=(listener,), daemon=True)
        process.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    try:
        httpx2.get(url, timeout=ANSWER_SECONDS)
        yield url
    finally:
        process.terminate()
        process.join()


def serve_bare(listener: socket.socket) -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 202, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    uvicorn.Server(uvicorn.Config(application, log_config=None, access_log=False)).run([listener])
