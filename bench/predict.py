"""What a user waits for beside the network: a prediction, the acceptance of a batch, and a look at a job.

- `predict_overhead_ms`: the median of a call with one photo, warm, less the median of the same model's answer to the
  same photo, decoded and scaled already, in a process of its own; calls and answers in turns.
- `predict_concurrent_ratio`: predictions a second of 32 callers at once, over those of one who calls one at a time.
- `accept_ms`: the median of a POST of 100 photos until its 202, less that of the same bytes to a bare server that reads
  them and answers; in turns. `receive_ms` is the latter.
- `poll_p95_ms`: of looks at a running batch by 1,000 clients, each of which asks again when `Retry-After` says so, and
  says what it knows (`If-None-Match`). `poll_slowdown`: the part of the inference rate that this costs, against the
  same batch before and after. Clients, service and network share one machine.
"""

import argparse
import asyncio
import io
import itertools
import json
import multiprocessing
import os
import random
import socket
import statistics
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2
import uvicorn
from PIL import Image

from bench.report import make_photos, parse, pictures, show, weights_folder
from tsukiji import Batch, Client
from tsukiji.cli.embedded import service
from tsukiji.vision.predictor import Predictor

WARM_UP: Final = 5
CALLERS: Final = 32
ACCEPTED: Final = 100
LOOK_SECONDS: Final = 0.1
MOST_IMAGES_PER_SECOND: Final = 150
"""A batch that is polled must not end before all is measured."""


def main() -> None:
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as workers have it
    parser = parse(__doc__)
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=60, help="predictions, one at a time")
    parser.add_argument("--seconds", type=float, default=12, help="of each measurement that is a rate")
    parser.add_argument("--clients", type=int, default=1000, help="that poll")
    parser.add_argument("--parts", nargs="+", choices=sorted(PARTS), default=sorted(PARTS))
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds, options.clients = 10, 2, 50
    with tempfile.TemporaryDirectory() as scratch:
        figures = measure(Path(scratch), options)
    show("what a user waits for beside the network", figures, as_json=options.json)


@dataclass(frozen=True)
class Bench:
    """A service with a model, and photos that it has not seen."""

    client: Client
    url: str
    key: str
    model: str
    files: list[bytes]
    scratch: Path

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    @property
    def place(self) -> str:
        return f"{self.url}/v1/models/{self.model}/predict"


def measure(scratch: Path, options: argparse.Namespace) -> dict[str, Any]:
    weights = weights_folder(options.weights, scratch / "weights")
    files = [path.read_bytes() for path in pictures(options.data, ACCEPTED, scratch / "photos")]
    folder = scratch / "service"
    folder.mkdir()
    with service(folder) as client:
        model = make_model(client, scratch / "lesson", options.image_size, pretrained=weights is not None)
        bench = Bench(client, *address_of(folder), model, files, scratch)
        with httpx2.Client(headers=bench.headers) as http:
            for _ in range(WARM_UP):
                call(http, bench, files[0])
        figures: dict[str, Any] = {}
        for part in options.parts:
            figures |= PARTS[part](bench, options)
    return figures | {"image_size": options.image_size, "cpu_count": os.cpu_count()}


def address_of(folder: Path) -> tuple[str, str]:
    told = json.loads((folder / "announced.json").read_text())
    return told["url"], told["api_key"]


def make_model(client: Client, folder: Path, size: int, *, pretrained: bool) -> str:
    """Train a resnet34 just long enough to have one in the service."""
    make_photos(folder, 20)
    dataset = client.datasets.create("lesson")
    dataset.upload(folder)
    recipe = {"epochs": 1, "image_size": size, "batch_size": 8, "pretrained": pretrained}
    model = client.trainings.create(dataset, recipe).wait().model
    if model is None:
        raise RuntimeError("the training made no model")
    return model.id


def call(http: httpx2.Client, bench: Bench, file: bytes) -> None:
    answer = http.post(bench.place, files={"files": ("photo.jpg", file, "image/jpeg")}, timeout=60)
    if answer.status_code != 200 or answer.json()["result"]["predictions"][0]["status"] != "succeeded":
        raise RuntimeError(f"no prediction: {answer.status_code} {answer.text[:300]}")


# --- one prediction --------------------------------------------------------------------------------------------------


def measure_overhead(bench: Bench, options: argparse.Namespace) -> dict[str, Any]:
    """Call and answer bare in turns."""
    package = bench.client.models.get(bench.model).download(bench.scratch / "package.zip")
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), load_bare, (package, bench.files[0])) as bare:
        for _ in range(WARM_UP):
            bare.submit(answer_bare).result()
        calls, answers = [], []
        with httpx2.Client(headers=bench.headers) as http:
            for file in itertools.islice(itertools.cycle(bench.files), options.rounds):
                answers.append(bare.submit(answer_bare).result())
                calls.append(seconds(lambda file=file: call(http, bench, file)))  # type: ignore[misc]
    whole, forward = statistics.median(calls), statistics.median(answers)
    return {
        "predict_overhead_ms": 1000 * (whole - forward),
        "predict_ms": 1000 * whole,
        "predict_forward_ms": 1000 * forward,
        "predict_ms_p95": 1000 * statistics.quantiles(calls, n=20, method="inclusive")[18],
    }


def load_bare(package: Path, file: bytes) -> None:
    """Load the model in a process of its own, and have a photo ready for it."""
    global bare_answer
    folder = package.with_suffix("")
    with zipfile.ZipFile(package) as archive:
        archive.extractall(folder)
    predictor = Predictor.load(folder)
    side = predictor.preprocess.size
    picture = Image.open(io.BytesIO(file)).convert("RGB").resize((side, side))
    bare_answer = lambda: predictor.answer([picture])  # noqa: E731


bare_answer: Callable[[], object]


def answer_bare() -> float:
    return seconds(bare_answer)


# --- many callers ----------------------------------------------------------------------------------------------------


def measure_concurrency(bench: Bench, options: argparse.Namespace) -> dict[str, Any]:
    """One caller and 32 in turns, from a process of their own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:

        def rate(callers: int) -> float:
            arguments = (bench.place, bench.headers, bench.files, callers, options.seconds)
            return pool.submit(call_all, *arguments).result()

        rate(CALLERS)
        turns = [(rate(1), rate(CALLERS)) for _ in range(1 if options.quick else 3)]
    return {
        "predict_concurrent_ratio": statistics.median(many / one for one, many in turns),
        "predictions_per_second_one": statistics.median(one for one, _ in turns),
        "predictions_per_second_many": statistics.median(many for _, many in turns),
        "callers": CALLERS,
    }


def call_all(url: str, headers: dict[str, str], files: Sequence[bytes], callers: int, seconds: float) -> float:
    """Return the predictions a second that so many callers get, each with one call at a time."""
    return asyncio.run(_call_all(url, headers, files, callers, seconds))


async def _call_all(url: str, headers: dict[str, str], files: Sequence[bytes], callers: int, seconds: float) -> float:
    done = 0
    end = time.monotonic() + seconds
    turns = itertools.cycle(files)

    async def caller(http: httpx2.AsyncClient) -> None:
        nonlocal done
        while time.monotonic() < end:
            answer = await http.post(url, content=next(turns), headers={"content-type": "image/jpeg"}, timeout=60)
            if answer.status_code != 200:
                raise RuntimeError(f"{answer.status_code} {answer.text[:300]}")
            done += time.monotonic() < end

    limits = httpx2.Limits(max_connections=callers, max_keepalive_connections=callers)
    async with httpx2.AsyncClient(headers=headers, limits=limits) as http:
        await asyncio.gather(*(caller(http) for _ in range(callers)))
    return done / seconds


# --- accepting -------------------------------------------------------------------------------------------------------


def measure_accepting(bench: Bench, options: argparse.Namespace) -> dict[str, Any]:
    """Send the same form to the service and to a server that only reads it, in turns."""
    parts = [("files", (f"{number}.jpg", file, "image/jpeg")) for number, file in enumerate(bench.files)]
    form = httpx2.Request("POST", bench.url, files=parts, data={"model": bench.model})
    body, content_type = form.read(), form.headers["content-type"]
    accepted, received = [], []
    with ExitStack() as cleanup:
        port = cleanup.enter_context(bare_server())
        http = cleanup.enter_context(httpx2.Client(headers={**bench.headers, "content-type": content_type}))

        def send(url: str) -> httpx2.Response:
            return http.post(url, content=body, timeout=60)

        for _ in range(2 if options.quick else 15):
            received.append(seconds(lambda: send(f"http://127.0.0.1:{port}/")))
            began = time.perf_counter()
            answer = send(f"{bench.url}/v1/batches")
            accepted.append(time.perf_counter() - began)
            if answer.status_code != 202:
                raise RuntimeError(f"{answer.status_code} {answer.text[:300]}")
            http.post(f"{bench.url}{answer.json()['links']['cancel']}", content=b"")
            time.sleep(0.5)  # who is under way with it lets go
    whole, receiving = statistics.median(accepted), statistics.median(received)
    return {
        "accept_ms": 1000 * (whole - receiving),
        "accept_whole_ms": 1000 * whole,
        "receive_ms": 1000 * receiving,
        "accept_images": len(bench.files),
        "accept_bytes": len(body),
    }


class bare_server:  # noqa: N801 - stands in a `with`
    """uvicorn, as the service has it, with an application that reads the body and answers."""

    def __enter__(self) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        self.process = multiprocessing.get_context("spawn").Process(target=serve_bare, args=(listener,), daemon=True)
        self.process.start()
        port: int = listener.getsockname()[1]
        listener.close()
        httpx2.get(f"http://127.0.0.1:{port}/", timeout=60)
        return port

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.join()


def serve_bare(listener: socket.socket) -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 202, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    uvicorn.Server(uvicorn.Config(application, log_config=None, access_log=False)).run([listener])


# --- polling ---------------------------------------------------------------------------------------------------------


def measure_polling(bench: Bench, options: argparse.Namespace) -> dict[str, Any]:
    """Take a batch's rate before, while and after many clients poll it."""
    images = 200 if options.quick else int(MOST_IMAGES_PER_SECOND * 6 * options.seconds)
    batch = bench.client.batches.create(model=bench.model, images=copies(bench, images))
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        pool.submit(len, "").result()
        before = rate_of(batch, options.seconds)
        arguments = (bench.url, f"/v1/batches/{batch.id}", bench.headers, options.clients, 3 * options.seconds)
        polls = pool.submit(poll_all, *arguments)
        time.sleep(options.seconds)  # all have come, and have been told their pace
        polled = rate_of(batch, options.seconds)
        taken, late = polls.result()
        after = rate_of(batch, options.seconds)
    batch.cancel()
    rates = {"before": before, "polled": polled, "after": after}
    slowdown = 1 - polled / statistics.mean((before, after)) if before and polled and after else None
    return {
        "poll_p95_ms": 1000 * statistics.quantiles(taken, n=20, method="inclusive")[18],
        "poll_p50_ms": 1000 * statistics.median(taken),
        "poll_slowdown": slowdown,
        "poll_clients": options.clients,
        "polls_per_second": len(late) / (2 * options.seconds),
        **{f"images_per_second_{name}": rate for name, rate in rates.items()},
    }


def copies(bench: Bench, images: int) -> list[Path]:
    """Return the photos again and again, as files of their own."""
    folder = bench.scratch / "many"
    folder.mkdir()
    paths = []
    for number, file in enumerate(itertools.islice(itertools.cycle(bench.files), images)):
        paths.append(folder / f"{number:06}.jpg")
        paths[-1].write_bytes(file)
    return paths


def rate_of(batch: Batch, seconds: float) -> float | None:
    """Return the images a second between two moments at which chunks ended; None where the batch has ended before."""
    ends: list[tuple[float, float]] = []
    deadline = time.monotonic() + seconds
    while len(ends) < 3 or time.monotonic() < deadline:
        completed = batch.refresh().progress.completed
        if batch.done:
            return None
        if not ends or completed > ends[-1][1]:
            ends.append((time.monotonic(), completed))
        time.sleep(LOOK_SECONDS)
    (began, first), (ended, last) = ends[1], ends[-1]
    return (last - first) / (ended - began)


def poll_all(
    url: str, place: str, headers: dict[str, str], clients: int, seconds: float
) -> tuple[list[float], list[float]]:
    """Poll by many clients at once; returns what each look took, and those of the last two thirds of the time."""
    return asyncio.run(_poll_all(url, place, headers, clients, seconds))


async def _poll_all(
    url: str, place: str, headers: dict[str, str], clients: int, seconds: float
) -> tuple[list[float], list[float]]:
    """Each client has a connection of its own. Written by hand: a library's client would cost more than the service."""
    address = urlsplit(url)
    began = time.monotonic()
    end, chance = began + seconds, random.Random(0)
    taken: list[tuple[float, float]] = []

    async def client() -> None:
        await asyncio.sleep(chance.uniform(0, seconds / 6))  # nobody's users come in the same instant
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        known = ""
        while time.monotonic() < end:
            lines = [f"GET {place} HTTP/1.1", f"host: {address.netloc}", *(f"{k}: {v}" for k, v in headers.items())]
            lines += [f"if-none-match: {known}"] if known else []
            asked = time.monotonic()
            writer.write("\r\n".join([*lines, "", ""]).encode())
            status, answer = await read_answer(reader)
            taken.append((asked - began, time.monotonic() - asked))
            if status not in {200, 304}:
                raise RuntimeError(f"{status} to a poll")
            known = answer["etag"]
            await asyncio.sleep(min(float(answer.get("retry-after", 5)), max(0.0, end - time.monotonic())))
        writer.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    return [took for _, took in taken], [took for at, took in taken if at > seconds / 3]


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
    await reader.readexactly(int(headers.get("content-length", 0)))
    return int(head[0].split()[1]), headers


def seconds(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


PARTS: Final = {
    "accepting": measure_accepting,
    "concurrency": measure_concurrency,
    "overhead": measure_overhead,
    "polling": measure_polling,
}

if __name__ == "__main__":
    main()
