"""Reports of a program that runs a batch on a cluster of the user's own."""

import zlib

from starlette.responses import Response

from api.http.access import needs, require_folders, require_own
from api.http.dependencies import Caller, ServicesDep
from api.http.idempotency import Made
from api.http.job_responses import answer_start
from api.http.routing import Router
from db import models as rows
from db.jobs import cluster_batches, jobs
from db.jobs.batches import Part
from tsukiji.errors import ClusterFailed, Invalid
from tsukiji.ingest.outputs import folder_of
from tsukiji.jobs import JobKind, Queue
from tsukiji.types import ClusterReport, Job, PartReport
from tsukiji.vision.drift import Distribution

router = Router(tags=["batches"])


@router.post("/batches/{batch}/reports", response_model=Job)
@needs("predict")
def report_batch(batch: str, body: ClusterReport, services: ServicesDep, caller: Caller) -> Response:
    """Tell what a program on your cluster has done of a batch with the runner `ray`; `tsukiji batch-ray` does so.

    The answer is the job: the status `cancelling` asks the program to stop and to report `done`.
    """
    with services.database.transaction() as session:
        require_own(caller, jobs.find(session, batch, JobKind.BATCH))
        require_folders(caller)
        job = cluster_batches.renew(session, batch, services.settings.jobs.lease_seconds)
        folder = folder_of(job.request["output"]["url"], job.id)
        for told in body.parts:
            part, seen = part_of(told, folder), seen_in(told, job)
            cluster_batches.add_part(session, job, told.first_seq, part, seen)
        cluster_batches.tell(session, job, body.images, body.engine)
        if body.error is not None:
            jobs.fail(session, job.id, ClusterFailed(body.error))
        elif body.done:
            cluster_batches.end(session, job)
            services.notifier.notify(Queue.INTAKE)  # which lists the parts
    return answer_start(services, Made(batch, replayed=False), status=200)


def part_of(told: PartReport, folder: str) -> Part:
    """Return a part as a chunk's row holds it.

    Raises:
        Invalid: it is not directly in the batch's folder, or does not have its number of images.
    """
    parent, _, name = told.url.rpartition("/")
    if parent != folder or not name:
        raise Invalid(f"{told.url} is not in the batch's folder, {folder}.")
    part = Part(told.sha256, told.bytes, told.succeeded, told.errors, told.groups, told.url)
    if part.succeeded + part.errored != told.last_seq + 1 - told.first_seq:
        raise Invalid(f"The part of the images {told.first_seq} to {told.last_seq} tells of another number of them.")
    return part


def seen_in(told: PartReport, job: rows.Job) -> Distribution | None:
    """Return what the images of a part are like.

    Raises:
        Invalid: it is not that of the model's labels.
    """
    if told.distribution is None:
        return None
    try:
        found = Distribution.from_bytes(told.distribution)
    except (ValueError, zlib.error):
        found = None
    if found is None or len(found.labels) != len(job.request["label_names"]):
        raise Invalid(f"`distribution` of {told.url} is not one of the model's labels.")
    return found
