"""What the bookkeeping of a batch costs: chunks run as a worker runs them, beside a bare loop over the same chunks.

Ours is `worker.runner.work_next`: claim, lease and its thread, history, counters, fenced commit. The bare loop has the
same predictor, the same pictures read and decoded alike and the same chunk boundaries; it inserts the predictions of a
chunk at once, and does nothing else. Both run in this process in turns (A B B A), so that what else the machine does
falls on both; messages are no part of it. `cost` is the part of the throughput that is lost: 1 - ours / bare, the
median of the pairs of chunks, with the 95% interval of a bootstrap. `cost_bookkeeping` is the same from another side,
with less noise: the time of chunks without any picture (ours less bare), as a part of the time of a chunk with
pictures.
"""

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from sqlalchemy import delete, insert, select

from bench.bookkeeping import add_batch, add_model, make_pictures, settings_of, store
from bench.report import show
from db.items import Item
from db.jobs import batches
from db.models import Chunk, Model, Prediction
from db.upgrade import upgrade
from devtools.servers import postgres_database
from tsukiji.jobs import Queue
from tsukiji.kernel import log
from tsukiji.kernel.settings import LogSettings
from tsukiji.vision.streams import in_streams, parts_of
from worker.inference import batch_inference, chunks
from worker.inference.model_cache import ModelCache
from worker.runner import CHUNK, work_next
from worker.services import Services, open_services

PICTURES: Final = 200
WARM_UP_CHUNKS: Final = 2
EMPTY_CHUNKS: Final = 40
RESAMPLES: Final = 2000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--backbone", default="resnet34")
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--quick", action="store_true", help="400 images: shows that it works, measures little")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    options = parser.parse_args()
    log.configure(LogSettings(level="warning"), "overhead")
    images = min(options.images, 400) if options.quick else options.images
    with ExitStack() as cleanup:
        home = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="tsukiji-overhead-")))
        places = {}
        if options.database == "postgres":
            places["TSUKIJI_DATABASE_URL"] = cleanup.enter_context(postgres_database())
        settings = settings_of(home, places)
        upgrade(settings)
        services = open_services(settings)
        cleanup.callback(services.database.close)
        model = add_model(services, options.backbone, options.image_size)
        figures = measure(services, model, images)
    figures |= {"database": options.database, "backbone": options.backbone, "image_size": options.image_size}
    show("what the bookkeeping of a batch costs", figures, as_json=options.json)


@dataclass(frozen=True)
class Turn:
    """Seconds for one chunk, by the clock and by the processor (all threads)."""

    images: int
    ours: float
    bare: float
    ours_cpu: float
    bare_cpu: float


def measure(services: Services, model: Model, images: int) -> dict[str, Any]:
    size = services.settings.jobs.chunk_images
    models = ModelCache(services)
    hashes = store(services, make_pictures(PICTURES))
    take_turns(services, models, model, hashes, WARM_UP_CHUNKS * size)
    turns = take_turns(services, models, model, hashes, images)
    empty = take_turns(services, models, model, [None], EMPTY_CHUNKS * size)
    costs = [1 - turn.bare / turn.ours for turn in turns]
    bookkeeping = statistics.median(turn.ours - turn.bare for turn in empty)
    whole = statistics.median(turn.ours for turn in turns if turn.images == size)
    return {
        "images": images,
        "images_per_second": images / sum(turn.ours for turn in turns),
        "images_per_second_bare": images / sum(turn.bare for turn in turns),
        "cost": statistics.median(costs),
        "cost_interval": bootstrap(costs),
        "cost_cpu": statistics.median(1 - turn.bare_cpu / turn.ours_cpu for turn in turns),
        "cost_bookkeeping": bookkeeping / whole,
        "bookkeeping_ms_per_chunk": 1000 * bookkeeping,
        "chunk_ms": 1000 * whole,
        "chunk_images": size,
        "target": 0.02,
    }


def take_turns(
    services: Services, models: ModelCache, model: Model, hashes: Sequence[str | None], images: int
) -> list[Turn]:
    """Run two batches of the same images, one of them as a worker does, and check that both have all predictions."""
    size = services.settings.jobs.chunk_images
    job_id, chunk_ids = add_batch(services, model, hashes, images)
    bare_id, _ = add_batch(services, model, hashes, images)
    with services.database.transaction() as session:
        session.execute(delete(Chunk).where(Chunk.job_id == bare_id))  # a worker takes whatever waits
    with services.database.reading() as session:
        items = batches.items_named(session, bare_id, range(images))[::-1]
    turns = []
    acts_of_worker = {CHUNK: partial(chunks.classify, models)}
    for number in range(len(chunk_ids)):
        part = items[number * size : (number + 1) * size]
        acts: list[Callable[[], object]] = [
            lambda: work_next(services, Queue.INFER, acts_of_worker),
            lambda part=part: run_bare(services, models, model, bare_id, part),  # type: ignore[misc]
        ]
        order = (0, 1) if number % 2 == 0 else (1, 0)
        taken = {which: seconds(acts[which]) for which in order}
        turns.append(Turn(len(part), taken[0][0], taken[1][0], taken[0][1], taken[1][1]))
    check(services, job_id, bare_id, images)
    return turns


def run_bare(services: Services, models: ModelCache, model: Model, job_id: str, items: list[Item]) -> None:
    """Classify images and write what came out: no claim, no lease, no history, no counters."""
    predictor = models.get(model.id).predictor
    names = [batch_inference.name_of(item) for item in items]
    wanted = {name: item for name, item in zip(names, items, strict=True) if item.sha256}
    found: batch_inference.Found = {}
    parts = parts_of(list(wanted.values()), predictor.batch_size, predictor.plan.streams)
    reading = batch_inference.Reading(services.store.read, services.decode_limits)
    act = partial(batch_inference.look, reading, predictor)
    for part in in_streams(predictor.plan, parts, act, batch_inference.NICENESS):
        found |= part
    embedded = batch_inference.Embedded.of(predictor, found)
    rows = [
        {"job_id": job_id} | row
        for item, row in zip(items, batch_inference.rows_of(predictor, items, names, found, embedded), strict=True)
    ]
    with services.database.transaction() as session:
        session.execute(insert(Prediction), rows)


def seconds(act: Callable[[], object]) -> tuple[float, float]:
    began, began_cpu = time.perf_counter(), time.process_time()
    act()
    return time.perf_counter() - began, time.process_time() - began_cpu


def check(services: Services, job_id: str, bare_id: str, images: int) -> None:
    """Raise RuntimeError unless both sides did all the work, with the same answers."""
    query = select(Prediction.seq, Prediction.label, Prediction.probabilities).order_by(Prediction.seq)
    with services.database.reading() as session:
        ours, bare = (session.execute(query.where(Prediction.job_id == job)).all() for job in (job_id, bare_id))
    if len(ours) != images or ours != bare:
        raise RuntimeError(f"{len(ours)} and {len(bare)} predictions of {images} images, or not the same ones")


def bootstrap(values: Sequence[float]) -> list[float]:
    """Return the 95% interval of the median."""
    chance = random.Random(0)
    medians = [statistics.median(chance.choices(values, k=len(values))) for _ in range(RESAMPLES)]
    cuts = statistics.quantiles(medians, n=40, method="inclusive")
    return [round(cuts[0], 4), round(cuts[-1], 4)]


if __name__ == "__main__":
    main()
