"""A storm of duplicate messages: the same batch with each message sent once, and with each sent many times.

Four real inference workers take the messages. The copies of a message follow each other at once, which is the hardest
order: all of them are met while the batch runs. Both kinds of run are done in turns, from the first message sent to the
end of the batch; medians. What a refused claim costs is measured by itself: the four workers, frozen meanwhile, get
many messages when nothing is due, and the times between two refusals are in their logs, so that taking the
message, the claim and the acknowledgement all count (a worker that got one message takes chunks until there are none,
so each message ends in one refusal). `lost_time_share` is the refusals during the run times their mean,
as a part of the workers' time; `storm_vs_once` is the plain ratio of the two wall times, noise and sending included.
Committed once means: every chunk succeeded in its first attempt, and counters and predictions are those of the images.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from sqlalchemy import func, select

from bench.bookkeeping import add_batch, add_model, environment_of, make_pictures, read_log, running, settings_of, store
from bench.faulting.programs import Program
from bench.report import show
from db.models import Chunk, Job, Model, Prediction
from db.upgrade import upgrade
from devtools.servers import postgres_database, redis_server
from tsukiji.jobs import TERMINAL, JobStatus, Queue
from tsukiji.kernel import log
from tsukiji.kernel.settings import LogSettings
from worker.services import Services, open_services

PICTURES: Final = 100
READY_SECONDS: Final = 180
RUN_SECONDS: Final = 1800
LOOK_SECONDS: Final = 0.02


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stack", choices=("embedded", "servers"), default="servers")
    parser.add_argument("--chunks", type=int, default=16)
    parser.add_argument("--copies", type=int, default=20)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--backbone", default="resnet34")
    parser.add_argument("--quick", action="store_true", help="few chunks, one round: shows that it works")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    options = parser.parse_args()
    log.configure(LogSettings(level="warning"), "storm")
    if options.quick:
        options.chunks, options.rounds = min(options.chunks, 6), 1
    with ExitStack() as cleanup:
        home = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="tsukiji-storm-")))
        settings = settings_of(home / "data", cleanup.enter_context(places_of(options.stack)))
        upgrade(settings)
        services = open_services(settings)
        cleanup.callback(services.database.close)
        model = add_model(services, options.backbone, options.image_size)
        environment = environment_of(settings)
        workers = [Program("infer", n, environment, home / f"infer{n}.log") for n in range(options.workers)]
        cleanup.enter_context(running(workers))
        storm = Storm(services, model, workers, options.chunks)
        storm.warm_up()
        figures = measure(storm, options.rounds, options.copies)
    figures |= {"stack": options.stack, "backbone": options.backbone, "image_size": options.image_size}
    show("a storm of duplicate messages", figures, as_json=options.json)


@contextmanager
def places_of(stack: str) -> Iterator[dict[str, str]]:
    if stack == "embedded":
        yield {}
        return
    with postgres_database() as database_url, redis_server() as broker_url:
        yield {"TSUKIJI_DATABASE_URL": database_url, "TSUKIJI_BROKER_URL": broker_url}


@dataclass(frozen=True)
class Turn:
    """One run of the batch; seconds from the first message sent."""

    seconds: float
    seconds_sending: float
    refused: int
    """All refused claims, and below those before the batch's end."""
    refused_meanwhile: int
    once: bool


class Storm:
    def __init__(self, services: Services, model: Model, workers: list[Program], chunks: int) -> None:
        self.workers = workers
        self.chunks = chunks
        self.images = chunks * services.settings.jobs.chunk_images
        self._services, self._model = services, model
        self._hashes = store(services, make_pictures(PICTURES))

    def warm_up(self) -> None:
        """Give chunks of no pictures to the workers until each has loaded the model."""
        size = self._services.settings.jobs.chunk_images
        deadline = time.monotonic() + READY_SECONDS
        while not all(any(line.get("event") == "model_loaded" for line in read_log(worker)) for worker in self.workers):
            if time.monotonic() > deadline:
                raise RuntimeError("not every worker has come up")
            _, chunk_ids = add_batch(self._services, self._model, [None], 2 * len(self.workers) * size)
            sent = len(self._refused()) + len(chunk_ids)
            self._send(len(chunk_ids))
            self._wait(lambda sent=sent: len(self._refused()) >= sent, "the warm-up did not end")  # type: ignore[misc]

    def run(self, copies: int) -> Turn:
        """Run the batch, and wait until the last of its messages is gone."""
        job_id, chunk_ids = add_batch(self._services, self._model, self._hashes, self.images)
        before = len(self._refused())
        began = time.time()
        self._send(copies * len(chunk_ids))
        sent = time.time()
        self._wait(lambda: self._ended(job_id), "the batch did not end")
        ended = time.time()
        self._wait(lambda: len(self._refused()) - before >= copies * self.chunks, "messages were lost")
        refusals = [at for _, at in self._refused() if at >= began]
        meanwhile = sum(at <= ended for at in refusals)
        return Turn(ended - began, sent - began, len(refusals), meanwhile, self._once(job_id))

    def refusals(self, count: int) -> list[float]:
        """Return the seconds that each of many refusals took a worker, all workers at it at once."""
        before = len(self._refused())
        for worker in self.workers:
            worker.freeze()
        self._send(count)
        began = time.time()
        for worker in self.workers:
            worker.thaw()
        self._wait(lambda: len(self._refused()) - before >= count, "messages were lost")
        moments: dict[str, list[float]] = {}
        for name, at in self._refused():
            if at >= began:
                moments.setdefault(name, []).append(at)
        return [later - earlier for times in moments.values() for earlier, later in pairwise(times)]

    def _send(self, messages: int) -> None:
        if not self._services.notifier.notify(Queue.INFER, messages):
            raise RuntimeError("the broker did not take a message")

    def _refused(self) -> list[tuple[str, float]]:
        """Return the worker and the moment (seconds of the epoch) of each message's end, in which all was taken."""
        return [
            (worker.worker, datetime.fromisoformat(line["timestamp"]).timestamp())
            for worker in self.workers
            for line in read_log(worker)
            if line.get("event") == "nothing_due"
        ]

    def _ended(self, job_id: str) -> bool:
        with self._services.database.reading() as session:
            return session.scalar(select(Job.status).where(Job.id == job_id)) in TERMINAL

    def _once(self, job_id: str) -> bool:
        with self._services.database.reading() as session:
            job = session.get_one(Job, job_id)
            rows = session.execute(select(Chunk.status, Chunk.attempt).where(Chunk.job_id == job_id)).all()
            written = session.scalar(select(func.count()).where(Prediction.job_id == job_id))
            counted = (job.items_succeeded, job.items_errored, job.completed)
        return (
            {tuple(row) for row in rows}
            == {(JobStatus.SUCCEEDED, 1)}  # of a long one the worker leaves a part to others
            and written == self.images
            and counted == (self.images, 0, self.images)
        )

    def _wait(self, happened: Callable[[], bool], problem: str) -> None:
        deadline = time.monotonic() + RUN_SECONDS
        while not happened():
            if time.monotonic() > deadline:
                raise RuntimeError(problem)
            time.sleep(LOOK_SECONDS)


def measure(storm: Storm, rounds: int, copies: int) -> dict[str, Any]:
    once: list[Turn] = []
    many: list[Turn] = []
    for number in range(rounds):
        for kind in (1, copies) if number % 2 == 0 else (copies, 1):
            (once if kind == 1 else many).append(storm.run(kind))
    refusals = storm.refusals(copies * storm.chunks)
    lost = [turn.refused_meanwhile * statistics.mean(refusals) / (len(storm.workers) * turn.seconds) for turn in many]
    return {
        "chunks": storm.chunks,
        "images": storm.images,
        "copies": copies,
        "messages": copies * storm.chunks,
        "workers": len(storm.workers),
        "rounds": rounds,
        "committed_once": all(turn.once for turn in once + many),
        "refused": [turn.refused for turn in many],
        "refused_meanwhile": [turn.refused_meanwhile for turn in many],
        "seconds_once": statistics.median(turn.seconds for turn in once),
        "seconds_storm": statistics.median(turn.seconds for turn in many),
        "seconds_sending_storm": statistics.median(turn.seconds_sending for turn in many),
        "storm_vs_once": statistics.median(loud.seconds / calm.seconds for loud, calm in zip(many, once, strict=True)),
        "refused_ms_median": 1000 * statistics.median(refusals),
        "refused_ms_mean": 1000 * statistics.mean(refusals),
        "lost_time_share": statistics.median(lost),
        "target": 0.05,
    }


if __name__ == "__main__":
    main()
