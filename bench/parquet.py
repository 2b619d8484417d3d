"""Batches with Parquet output beside batches with rows: what the database does, whether memory is flat, and the speed.

`simulated`: a batch over a source of `--pictures` names that exist only as names, with an engine that answers at once.
A planner and a worker, each a program of its own, do what they do in a service; only the pictures and the network are
made up. `database_seconds_per_100k` is the time that both wait for the database (statements and commits) for 100,000
pictures; `memory_growth` how much more resident memory the program that grows most needs in the second half of its
work than in the first. The peer is the same batch with rows, on fewer pictures.

`small`: a batch over `--small` pictures of 32 pixels with a small network, with parts and with rows. `parquet_vs_rows`
is the time with rows over the time with parts: above 1, parts are faster. All results are compared one by one.
"""

import argparse
import multiprocessing
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import zip_longest
from multiprocessing.queues import Queue as Results
from pathlib import Path
from threading import Event, Thread
from typing import Any, Final
from unittest.mock import Mock, patch

import numpy as np
import psutil
from PIL import Image
from sqlalchemy import event

from bench.bookkeeping import add_model, settings_of
from bench.report import show
from db import stored_results
from db.jobs import batches, jobs
from db.jobs.requests import BatchRequest, Output, SourceInput
from db.models import Job, Model
from db.paging import Window
from db.predictions.results import ResultRow
from db.session import Database
from db.upgrade import upgrade
from devtools.servers import postgres_database
from tsukiji.ingest.archives import Entry
from tsukiji.ingest.sources import Source
from tsukiji.jobs import TERMINAL, JobKind, JobStatus, Queue
from tsukiji.kernel import log
from tsukiji.kernel.settings import LogSettings, Settings, SourceSettings
from tsukiji.vision.drift import BINS, FEATURES, Distribution
from worker.inference import chunks, part_inference
from worker.inference.batch_inference import Classified
from worker.inference.model_cache import Loaded, ModelCache
from worker.jobs import batches as batch_jobs
from worker.runner import CHUNK, Acts, work_next
from worker.services import Services, open_services

LABELS: Final = ["blue", "red"]
PEER_PICTURES: Final = 20_000
SMALL_SIDE: Final = 32
SAMPLE_SECONDS: Final = 0.25
LOOK_SECONDS: Final = 0.5
"""Between two looks for work, where workers of a service wait for a message."""
WARM_UP: Final = 64
PICTURE: Final = b"a picture that is not decoded"
SHARES: Final = np.array([0.25, 0.75], "<f4").tobytes()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=10_000_000, help="of the simulated batch")
    parser.add_argument("--small", type=int, default=200_000, help="real small pictures")
    parser.add_argument("--databases", nargs="+", choices=("sqlite", "postgres"), default=["sqlite", "postgres"])
    parser.add_argument("--backbone", default="efficientnet_lite0", help="of the small pictures")
    parser.add_argument("--quick", action="store_true", help="40,000 and 400 pictures: shows that it works")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    options = parser.parse_args()
    log.configure(LogSettings(level="warning"), "parquet")
    pictures = min(options.pictures, 40_000) if options.quick else options.pictures
    small = min(options.small, 400) if options.quick else options.small
    figures: dict[str, Any] = {"pictures": pictures, "small": small}
    for database in options.databases:
        figures |= {f"{name}_{database}": value for name, value in simulate(database, pictures).items()}
    for name in ("database_seconds_per_100k", "memory_growth"):
        figures[name] = max(figures[f"{name}_{database}"] for database in options.databases)
    if small:
        figures |= compare(small, options.backbone)
    figures |= {
        "target_database_seconds_per_100k": 0.5,
        "target_memory_growth": 0.1,
        "target_parquet_vs_rows": 1,
        "seeds": [0],
        "runs": 1,
    }
    show("Parquet output beside rows", figures, as_json=options.json)


# --- simulated -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Names(Source):
    """A source of pictures that are only names."""

    count: int

    def entries(self, max_bytes: int, after: str | None = None) -> Iterator[Entry]:
        first = 0 if after is None else int(after.removesuffix(".jpg")) + 1
        for number in range(first, self.count):
            name = f"{number:012}.jpg"
            yield Entry(name, None, lambda: PICTURE, None, name, len(PICTURE))

    def read(self, max_bytes: int) -> bytes:
        return PICTURE


@dataclass
class Watch:
    """What one program did: its statements and commits, and the seconds they took; its memory, sampled."""

    statements: int = 0
    seconds: float = 0.0
    memory: list[int] = field(default_factory=list)

    def database(self, database: Database) -> None:
        """Count and time what goes to the database."""
        began: list[float] = []
        engine = database.engine

        def before(*_: Any) -> None:
            began.append(time.perf_counter())

        def after(*_: Any) -> None:
            self.statements += 1
            self.seconds += time.perf_counter() - began.pop()

        event.listen(engine, "before_cursor_execute", before)
        event.listen(engine, "after_cursor_execute", after)
        commit = engine.dialect.do_commit

        def timed(connection: Any) -> None:
            start = time.perf_counter()
            commit(connection)
            self.seconds += time.perf_counter() - start

        engine.dialect.do_commit = timed  # type: ignore[method-assign, assignment]

    def sample(self, ended: Event) -> None:
        """Sample this program's memory until it ends."""
        process = psutil.Process()
        while not ended.wait(SAMPLE_SECONDS):
            self.memory.append(process.memory_info().rss)

    @property
    def growth(self) -> float:
        """Return how much more memory the second half needs than the first; 0 where there was too little to see."""
        half = len(self.memory) // 2
        return max(self.memory[half:]) / max(self.memory[:half]) - 1 if half else 0.0


def simulate(database: str, pictures: int) -> dict[str, Any]:
    """Run the simulated batch with parts, and its peer with rows."""
    found: dict[str, Any] = {}
    peer = min(PEER_PICTURES, pictures)
    for output, count in (("parquet", pictures), ("rows", peer)):
        with ExitStack() as cleanup:
            settings = prepare(cleanup, database)
            began = time.monotonic()
            watches = run_programs(settings, count, output)
            seconds, statements = sum(each.seconds for each in watches), sum(each.statements for each in watches)
            found |= {
                f"statements_per_1000_{output}": 1000 * statements / count,
                f"database_ms_per_1000_{output}": 1e6 * seconds / count,
                f"pictures_per_second_{output}": count / (time.monotonic() - began),
            }
            if output == "parquet":
                found["database_seconds_per_100k"] = 1e5 * seconds / count
                found["memory_growth"] = max(each.growth for each in watches)
                found["memory_mb"] = [max(each.memory, default=0) // 2**20 for each in watches]
    return found


def prepare(cleanup: ExitStack, database: str) -> Settings:
    """Return the settings of a fresh service."""
    home = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="tsukiji-parquet-")))
    places = {"TSUKIJI_INFERENCE_FEATURES_MB": "0"}
    if database == "postgres":
        places["TSUKIJI_DATABASE_URL"] = cleanup.enter_context(postgres_database())
    settings = settings_of(home, places, chunk_images=10_000)
    limits = settings.limits.model_copy(update={"batch_items": 2**31 - 1, "archive_entries": 2**31 - 1})
    sources = SourceSettings(allowed=[f"file://{home}/pictures"])
    settings = settings.model_copy(update={"limits": limits, "sources": sources})
    upgrade(settings)
    return settings


def run_programs(settings: Settings, count: int, output: str) -> list[Watch]:
    """Run a planner and a worker until the batch has ended, and return what they did."""
    services = open_services(settings)
    model = Model(id="mdl_made_up", name="made up", backbone="none", label_names=LABELS, recipe={}, bytes=0)
    with services.database.transaction() as session:
        session.add(model)
    job_id = submit(services, model, output)
    context = multiprocessing.get_context("spawn")
    results: Results[Watch] = context.Queue()
    programs = [
        context.Process(target=run_program, args=(settings, queue, count, job_id, results))
        for queue in (Queue.INTAKE, Queue.INFER)
    ]
    for program in programs:
        program.start()
    watches = [results.get() for _ in programs]
    for program in programs:
        program.join()
    check(services, job_id, count)
    services.database.close()
    return watches


def submit(services: Services, model: Model, output: str, below: str = "") -> str:
    """Queue a batch over the allowed folder, or one in it."""
    root = services.settings.sources.allowed[0] + below
    request = BatchRequest(
        model=model.id,
        label_names=model.label_names,
        input=SourceInput(type="source", source=root),
        **({"output": Output(to="parquet")} if output == "parquet" else {}),
    )
    with services.database.transaction() as session:
        return jobs.create(session, JobKind.BATCH, request=request, max_attempts=3, model_id=model.id, unit="images").id


def run_program(settings: Settings, queue: Queue, count: int, job_id: str, results: "Results[Watch]") -> None:
    """Work on one queue until the batch has ended; a process's main function."""
    log.configure(LogSettings(level="error"), "parquet")
    services, watch, ended = open_services(settings), Watch(), Event()
    services.sources = Mock(open=lambda _: Names(count))
    watch.database(services.database)
    sampler = Thread(target=watch.sample, args=(ended,))
    sampler.start()
    acts: Acts = {JobKind.BATCH: batch_jobs.run}
    if queue == Queue.INFER:
        for module in (part_inference, chunks):
            patch.object(module, "predict", classify_at_once).start()
        models = Mock(get=lambda _: Loaded(Mock(plan=Mock(device="cpu")), {"device": "none"}, Mock()))
        acts = {CHUNK: partial(chunks.classify, models)}
    work(services, queue, acts, job_id)
    ended.set()
    sampler.join()
    services.database.close()
    results.put(watch)


def work(services: Services, queue: Queue, acts: Acts, job_id: str) -> None:
    """Do what is due until the job has ended."""
    while True:
        work_off(services, queue, acts)
        with services.database.reading() as session:
            if jobs.find(session, job_id).status in TERMINAL:
                return
        time.sleep(LOOK_SECONDS)


def classify_at_once(_predictor: Any, items: list[Any], *_: Any) -> Classified:
    found = {"label": "red", "score": 0.75, "probabilities": SHARES, "width": 8, "height": 8}
    rows = [batches.blank_prediction(item.seq) | found for item in items]
    images = len(items)
    counts = np.array([0, images]), np.zeros(2, np.int64), np.zeros(BINS, np.int64), np.zeros(BINS, np.int64)
    return Classified(rows, Distribution(*counts, np.zeros(FEATURES)))


def check(services: Services, job_id: str, count: int) -> Job:
    """Make sure that the batch has a result for every picture."""
    with services.database.reading() as session:
        job = jobs.find(session, job_id)
    if (job.status, job.items_succeeded, job.completed) != (JobStatus.SUCCEEDED, count, count):
        raise SystemExit(f"{job_id} is {job.status} with {job.items_succeeded} of {count}: {job.error}")
    return job


# --- real ------------------------------------------------------------------------------------------------------------


def compare(count: int, backbone: str) -> dict[str, Any]:
    """Classify real small pictures with parts and with rows, in this process, and compare the results."""
    with ExitStack() as cleanup:
        settings = prepare(cleanup, "sqlite")
        services = open_services(settings)
        cleanup.callback(services.database.close)
        root = Path(settings.sources.allowed[0].removeprefix("file://"))
        make_small(root / "all", count)
        make_small(root / "few", min(WARM_UP, count))
        model, models = add_model(services, backbone, SMALL_SIDE), ModelCache(services)
        seconds: dict[str, float] = {}
        found: dict[str, Job] = {}
        for below in ("/few", "/all"):  # the first is a warm-up
            for output in ("parquet", "rows"):
                began = time.monotonic()
                job_id = submit(services, model, output, below)
                work_off(services, Queue.INTAKE, {JobKind.BATCH: batch_jobs.run})
                work_off(services, Queue.INFER, {CHUNK: partial(chunks.classify, models)})
                work_off(services, Queue.INTAKE, {JobKind.BATCH: batch_jobs.run})
                seconds[output] = time.monotonic() - began
                found[output] = check(services, job_id, count if below == "/all" else min(WARM_UP, count))
        differing = differences(services, found["parquet"], found["rows"])
    return {
        "parquet_vs_rows": seconds["rows"] / seconds["parquet"],
        "small_pictures_per_second_parquet": count / seconds["parquet"],
        "small_pictures_per_second_rows": count / seconds["rows"],
        "small_differing": differing,
    }


def work_off(services: Services, queue: Queue, acts: Acts) -> None:
    """Do what is due."""
    while work_next(services, queue, acts):
        pass


def make_small(folder: Path, count: int) -> None:
    """Write pictures of noise, each of its own, a thousand to a folder."""
    random = np.random.default_rng(0)
    for number in range(count):
        path = folder / f"{number // 1000:04}" / f"{number:08}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 256, (SMALL_SIDE, SMALL_SIDE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path, compress_level=0)


def differences(services: Services, parts: Job, rows: Job) -> int:
    """Count the pictures whose results differ."""
    pairs = zip_longest(read_all(services, parts), read_all(services, rows))
    return sum(mine != theirs for mine, theirs in pairs)


def read_all(services: Services, job: Job) -> Iterator[ResultRow]:
    cursor: str | None = None
    while True:
        with services.database.reading() as session:
            page, cursor = stored_results.page(session, services.files, job, Window(10_000, cursor))
        yield from page
        if cursor is None:
            return


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
