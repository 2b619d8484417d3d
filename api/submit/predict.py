"""Predictions: computed by the predict RPC and written in one transaction, or not at all; or queued like a batch."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from starlette.concurrency import run_in_threadpool

from api.http.bodies import Form, file_name, read_file
from api.http.idempotency import Made, Once, fingerprint_of
from api.http.job_responses import Seen, job_record, see
from api.predict_rpc import Answer
from api.serialize.predictions import Reader
from api.services import Services
from api.submit.admission import create, expect_room
from api.submit.batches import (
    Item,
    Work,
    add_items,
    check_heatmap,
    described,
    items_of,
    request_of,
    start_batch,
)
from api.submit.guarantees import promised, with_alias
from db import aliases, probabilities, quotas, registry
from db.jobs import batches, workers
from db.jobs.requests import BatchRequest, FilesInput
from db.models import Alias, ApiKey, Job, Model
from db.predictions import completed
from db.predictions.results import ResultRow
from db.session import Session
from tsukiji.jobs import PRESENT_SECONDS, JobKind, JobStatus
from tsukiji.kernel.predict_rpc import RpcAddress
from tsukiji.kernel.storage.blobs import digest_of
from tsukiji.labels import decide_set
from tsukiji.types import BatchOptions, Predictions


class File(NamedTuple):
    """One picture as it was sent."""

    custom_id: str
    data: bytes


@dataclass(frozen=True)
class Target:
    """The model, and the addresses of workers that may have it loaded."""

    model: Model
    addresses: list[RpcAddress]
    alias: Alias | None = None
    """That it was named by."""


def find_target(services: Services, caller: ApiKey, once: Once, model: str, *, record: bool = True) -> Target:
    """Look up what a prediction needs before its body is read.

    Raises:
        NotFound: there is no such model.
        QueueFull: it is to be recorded, and there is no room for it.
        QuotaExceeded: no picture may be sent today.
    """
    with services.database.reading() as session:
        found = registry.find_model(session, model)
        if record:
            expect_room(session, services, once, JobKind.PREDICTION, caller)
        else:
            quotas.check(session, caller)
        return Target(found, workers.rpc_addresses(session, PRESENT_SECONDS), aliases.named(session, model))


def read_files(services: Services, sent: Form) -> list[File]:
    largest = services.settings.limits.image_bytes
    return [File(file_name(upload, number), read_file(upload, largest)) for number, upload in enumerate(sent.files)]


async def start_prediction(
    services: Services,
    caller: ApiKey,
    once: Once,
    options: BatchOptions,
    files: list[File],
    target: Target,
    seconds: float,
) -> tuple[Made, Seen]:
    """Call the predict RPC, if there is time, while the bytes go to the store; queue if no worker answers.

    Returns what was made, and the job's state.

    The RPC runs a single forward pass; tags and heatmaps need more, and use a batch.

    Raises:
        NotFound, Invalid, QueueFull
    """
    check_heatmap(options, target.model.label_names)
    asking = asyncio.ensure_future(ask(services, options, files, target, seconds))
    try:
        work = await run_in_threadpool(keep, services, files)
        answer = await asking
    finally:
        asking.cancel()
    if answer:
        return await run_in_threadpool(write_answered, services, caller, once, options, work, target, answer)
    return await run_in_threadpool(queue, services, caller, once, options, work)


async def answer_unrecorded(
    services: Services, caller: ApiKey, options: BatchOptions, files: list[File], target: Target, seconds: float
) -> Predictions | None:
    """Return predictions without storing them; None if no worker answers.

    Raises:
        Invalid, GuaranteeUnmet, QuotaExceeded
    """
    check_heatmap(options, target.model.label_names)
    request = await run_in_threadpool(unrecorded_request, services, with_alias(options, target.alias), target)
    answer = await ask(services, options, files, target, seconds)
    if answer is None:
        return None
    if quotas.quotas_of(caller):
        await run_in_threadpool(count, services, caller, len(files))
    items = items_of(services, files, lambda unkept: [digest_of([data]) for data in unkept])
    reader = Reader(Job(kind=JobKind.PREDICTION, status=JobStatus.SUCCEEDED, request=request.to_row()))
    rows = map(result_row, items, prediction_rows(request, items, answer))
    return Predictions(model=target.model.id, predictions=[reader.prediction(row) for row in rows])


def unrecorded_request(services: Services, options: BatchOptions, target: Target) -> BatchRequest:
    """Raises: Invalid, GuaranteeUnmet."""
    promises: dict[str, Any] = {}
    if options.target_error is not None or options.prediction_set is not None:
        with services.database.reading() as session:
            promises = promised(session, target.model, options)
    return request_of(target.model, options, FilesInput(type="files"), promises)


def count(services: Services, caller: ApiKey, pictures: int) -> None:
    """Raises: QuotaExceeded."""
    with services.database.transaction() as session:
        quotas.take(session, caller, pictures)


async def ask(
    services: Services, options: BatchOptions, files: Sequence[File], target: Target, seconds: float
) -> Answer | None:
    """Call the predict RPC with the files within the limits; None if no worker answers for all of them in time."""
    readable = [file.data for file in files if len(file.data) <= services.settings.limits.image_bytes]
    if options.tags or options.heatmap is not None or not (target.addresses and readable and seconds):
        return None
    answer = await services.predict_client.ask(target.addresses, target.model.id, readable, seconds)
    return answer if answer and len(answer.rows) == len(readable) else None


def queue(services: Services, caller: ApiKey, once: Once, options: BatchOptions, work: Work) -> tuple[Made, Seen]:
    made = start_batch(services, caller, once, options, work, JobKind.PREDICTION)
    return made, see(services, made.id)


def keep(services: Services, files: Sequence[File]) -> Work:
    return Work(FilesInput(type="files"), items_of(services, files, services.store.put_many))


def write_answered(
    services: Services, caller: ApiKey, once: Once, options: BatchOptions, work: Work, target: Target, answer: Answer
) -> tuple[Made, Seen]:
    """Insert a prediction with its answer: as it ended, with the history and the rows of one that was queued.

    Raises:
        NotFound: the model was deleted meanwhile.
    """
    asked = with_alias(options, target.alias).model_copy(
        update={"model": target.model.id}
    )  # an alias may have moved meanwhile
    written: list[Seen] = []

    def make(session: Session) -> str:
        request, columns = described(session, services, asked, work, JobKind.PREDICTION)
        rows = prediction_rows(request, work.items, answer)
        columns |= completed.ended(rows, columns["retention_days"])
        job = create(session, services, caller, JobKind.PREDICTION, request, **columns)
        add_items(session, job.id, work.items)
        quotas.take(session, caller, len(work.items))
        kept = completed.add(session, job, rows, answer.worker)
        written[:] = [Seen(job, None, job_record(job, map(result_row, work.items, kept)))]
        return job.id

    made = once.make(services, fingerprint_of([options.model_dump(), work.fingerprint]), make)
    return made, see(services, made.id) if made.replayed else written[0]


def result_row(item: Item, row: dict[str, Any]) -> ResultRow:
    """Return what `results.page` would read."""
    known = {name: value for name, value in row.items() if name != "job_id"}
    return ResultRow(custom_id=item.custom_id, sha256=item.row["sha256"], true_label=None, reached=row["seq"], **known)


def prediction_rows(request: BatchRequest, items: Sequence[Item], answer: Answer) -> list[dict[str, Any]]:
    """Return a row for each item: those that were refused here were not asked about."""
    rows = (decided(request, row) for row in answer.rows)
    return [
        batches.blank_prediction(seq) | ({"error": item.error.to_dict()} if item.error else next(rows))
        for seq, item in enumerate(items)
    ]


def decided(request: BatchRequest, row: dict[str, Any]) -> dict[str, Any]:
    """Return an RPC's row for the requested threshold: workers use the thresholds of a multi-label model."""
    names, threshold = request.label_names, request.threshold
    if not threshold or row.get("labels") is None:
        return row
    values = probabilities.read(row["probabilities"], len(names)).tolist()
    return row | {"labels": decide_set(names, values, [threshold] * len(names))}
