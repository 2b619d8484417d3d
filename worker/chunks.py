"""One chunk of a batch: claim, read, decode, predict, and commit everything at once."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import structlog
from PIL import Image

from db import batches, jobs, turns, workers
from db.batches import Work
from db.models import BatchItem
from db.session import Session
from tsukiji.errors import (
    BlobCorrupt,
    BlobMissing,
    ImageError,
    ModelGone,
    TsukijiError,
    WorkStalled,
)
from tsukiji.jobs import PRESENT_SECONDS, JobKind, Queue, Task
from tsukiji.types import Box
from tsukiji.vision.decode import DecodeLimits, decode, measure
from tsukiji.vision.predictor import Answers, Predictor
from worker.claimed import is_tried_again, recognise
from worker.lease import Lease, Stopped
from worker.models import ModelCache
from worker.services import Services

log = structlog.get_logger(__name__)


def run(services: Services, models: ModelCache, row_id: str) -> bool:
    """Classify the images of the chunk whose turn it is, whichever row the message named.

    Returns:
        Whether to look for the next one: not when none was to be had, nor when what all chunks need is away.
    """
    work = claim(services)
    if work is None:
        log.info("chunk_refused", chunk=row_id)
        return False
    with structlog.contextvars.bound_contextvars(job_id=work.job.id, chunk=work.chunk.id, attempt=work.chunk.attempt):
        try:
            classify(services, models, work)
            if work.job.kind == JobKind.EVALUATION:
                wake_measuring(services, work.job.id)
        except Exception as error:  # noqa: BLE001 - the last frame of the work: whatever it met is told to the row
            return not report(services, work, error).outage
    return True


def wake_measuring(services: Services, job_id: str) -> None:
    """Send for who measures, if this was the last chunk; else the dispatcher would, at its next tick."""
    with services.database.reading() as session:
        waits = jobs.is_queued(session, job_id)
    if waits and services.wakeups.send(Task.EVALUATION, job_id):
        with services.database.transaction() as session:
            jobs.mark_sent(session, [job_id])


def claim(services: Services) -> Work | None:
    """Take what is fairest. Where other workers were faster there may be more: look until there is none."""
    settings = services.settings.jobs
    while True:
        with services.database.reading() as session:
            job_id = turns.next_batch(session)
        if job_id is None:
            return None
        with services.database.transaction() as session:
            job = jobs.lock(session, job_id)
            hands = workers.count(session, Queue.INFER, PRESENT_SECONDS)
            left = int(job.items_total - job.completed)
            images = services.pace.images(job.request["model"], settings.chunk_seconds, left, hands)
            if work := turns.take(session, job, services.worker, settings.lease_seconds, images):
                return work


def classify(services: Services, models: ModelCache, work: Work) -> None:
    chunk, lease_seconds = work.chunk, services.settings.jobs.lease_seconds
    lease = Lease(
        services.database,
        services.settings.jobs,
        beat=lambda session: batches.beat_chunk(session, chunk, lease_seconds),
        look=lambda session: batches.chunk_signals(session, chunk),
        drop=lambda session: batches.drop_chunk(session, chunk, WorkStalled.code),
    )
    try:
        with lease:
            predictor = models.get(work.job.request["model"])
            began = time.monotonic()
            with services.device.hold():
                rows = predict(services, predictor, work.items, lease)
            services.pace.note(work.job.request["model"], len(rows), time.monotonic() - began)
    except Stopped:
        leave(services, work, lease)
        return
    done = services.insist(lambda session: batches.finish_chunk(session, chunk, rows))
    log.info("chunk_finished" if done else "chunk_write_refused", images=len(rows))


def predict(services: Services, predictor: Predictor, items: list[BatchItem], lease: Lease) -> list[dict[str, Any]]:
    """Return one row per item, in order. Pictures are decoded a forward pass at a time, so memory stays flat."""
    rows: list[dict[str, Any]] = []
    for start in range(0, len(items), predictor.batch_size):
        part = items[start : start + predictor.batch_size]
        lease.check()
        pictures = [read(services, item, predictor.preprocess.size) for item in part]
        lease.check()
        services.device.give_way()
        good = [picture.pixels for picture in pictures if isinstance(picture, Picture)]
        answers = predictor.answer(good)
        found = iter(zip(answers.probabilities, known_scores(answers), strict=True))
        for item, picture in zip(part, pictures, strict=True):
            row = batches.blank_prediction(item.seq)
            if isinstance(picture, Picture):
                row |= answer(predictor, *next(found)) | {"width": picture.width, "height": picture.height}
            else:
                row["error"] = picture
            rows.append(row)
    return rows


def known_scores(answers: Answers) -> list[float | None]:
    """Return a known score for each picture; None where the model has no statistics for it."""
    if answers.known_scores is None:
        return [None] * len(answers.probabilities)
    return [float(score) for score in answers.known_scores]


def answer(predictor: Predictor, probabilities: npt.NDArray[np.float32], known_score: float | None) -> dict[str, Any]:
    best = int(probabilities.argmax())
    return {
        "label": predictor.label_names[best],
        "score": float(probabilities[best]),
        "known_score": known_score,
        "probabilities": probabilities.astype("<f4").tobytes(),
    }


@dataclass(frozen=True)
class Picture:
    """A decoded picture, and the size of the one that was sent: large ones are decoded smaller."""

    pixels: Image.Image
    width: int
    height: int


def read(services: Services, item: BatchItem, side: int) -> Picture | dict[str, Any] | None:
    """Return an item's picture, or the error that stands in its stead: one bad image costs only itself."""
    if item.sha256 is None:
        return item.error
    try:
        return look_at(services.store.read(item.sha256), services.decode_limits, side, item.crop)
    except (ImageError, BlobMissing, BlobCorrupt) as error:
        return error.to_dict()


def look_at(data: bytes, limits: DecodeLimits, side: int, crop: Box | None = None) -> Picture:
    """Return the picture in a file, or the part of it in a box, decoded for `side` pixels.

    Raises:
        ImageError: there is none that may be read.
    """
    width, height = measure(data, limits)
    return Picture(decode(data, limits, crop=crop, target_side=side), width, height)


def leave(services: Services, work: Work, lease: Lease) -> None:
    """Leave a chunk unfinished: cancelled with its batch, or back into the queue because this worker stops."""
    if lease.signals.lost:
        log.warning("chunk_lost")
        return
    cancelled = lease.signals.cancel
    services.insist(
        lambda session: (batches.cancel_chunk if cancelled else batches.give_back_chunk)(session, work.chunk)
    )
    log.info("chunk_cancelled" if cancelled else "chunk_given_back")


def report(services: Services, work: Work, error: Exception) -> TsukijiError:
    """Tell the row what the work met: the batch ends, or its images get the reason, or it is tried again."""
    log.warning("chunk_failed", exc_info=error)
    known = recognise(error)

    def tell(session: Session) -> None:
        if isinstance(known, ModelGone):
            batches.abort(session, work.job.id, known)
        elif is_tried_again(known):
            batches.retry_chunk(session, work.chunk, known)
        else:
            batches.fail_chunk(session, work.chunk, known)

    services.insist(tell)
    return known
