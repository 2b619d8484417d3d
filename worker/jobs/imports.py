"""An import: pictures of an archive, a folder, a prefix or the web become images of a data set.

Every file gets a verdict; none stops the others.
"""

import itertools
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

from db.curation import datasets, image_intake, import_verdicts
from db.curation.datasets import NewImage
from db.curation.image_intake import IntakeOutcome
from db.jobs import jobs
from db.jobs.requests import FeaturesRequest
from db.models import ApiKey, Job
from db.session import Session
from tsukiji.errors import Invalid, LabelRefused, TsukijiError
from tsukiji.ingest.importers import Placement
from tsukiji.jobs import JobKind, Queue
from tsukiji.kernel.metrics import meters
from tsukiji.kernel.pipeline import in_order
from tsukiji.labels import look_alikes, split_labels, under_two_labels
from tsukiji.types import AnalysisCreate
from tsukiji.vision.decoding.decode import probe
from worker.inputs.import_reader import ImportPicture, open_input
from worker.inputs.input_files import discard
from worker.inputs.sanitize import kept
from worker.lease import Lease, Stale, renew
from worker.services import Services

COMMIT_FILES = 100


def run(services: Services, job: Job, lease: Lease) -> None:
    """Read the input from where an earlier attempt stopped, and commit verdicts as they come."""
    dataset_id = dataset_of(job)
    with services.database.reading() as session:
        start = import_verdicts.next_seq(session, job.id)
        labels = datasets.labels_of(session, dataset_id)
    with open_input(services, job) as found, closing(found.after(start)) as rest:
        files = (take(services, seq, picture, labels, lease) for seq, picture in rest)
        with closing(in_order(files, partial(intake, services), lambda file: len(file.data))) as verdicts:
            while part := list(itertools.islice(verdicts, COMMIT_FILES)):
                commit(services, job, part, found.total)
        warnings = found.warnings
    end(services, job, warnings)


def dataset_of(job: Job) -> str:
    """Return the id of the data set; fails if it was deleted."""
    if job.dataset_id is None:
        raise Invalid("The data set was deleted.", hint="Create it again, and send the archive again.")
    return job.dataset_id


@dataclass(frozen=True)
class File:
    """A file that was read, or its error; `verdict` is its row so far."""

    verdict: dict[str, Any]
    placement: Placement
    data: bytes = b""


def take(services: Services, seq: int, picture: ImportPicture, labels: set[str], lease: Lease) -> File:
    """Read one file. An archive is a stream: one thread reads it in order."""
    lease.check()
    place = picture.placement
    verdict = {"seq": seq, "name": kept(picture.name), "label": place.label, "error": None, "image": None}
    try:
        check_placement(services, place, labels)
        return File(verdict, place, picture.read())
    except TsukijiError as error:
        return File(refused(verdict, error), place)


def intake(services: Services, file: File) -> dict[str, Any]:
    """Decode and store one picture, and return its verdict; `image` is what to insert."""
    verdict = file.verdict
    if verdict["error"]:
        return verdict
    try:
        facts = probe(file.data, services.decode_limits)
        datasets.check_crop(file.placement.crop, facts.width, facts.height)
        blob = services.store.put(file.data)
    except TsukijiError as error:
        return refused(verdict, error)
    image = NewImage(
        name=verdict["name"],
        label=verdict["label"],
        split=file.placement.split,
        group=file.placement.group,
        sha256=blob.sha256,
        width=facts.width,
        height=facts.height,
        bytes=blob.size,
        format=facts.format,
        phash=facts.phash,
        crop=file.placement.crop,
        miniature=facts.miniature,
    )
    return verdict | {"image": image}


def refused(verdict: dict[str, Any], error: TsukijiError) -> dict[str, Any]:
    if error.retriable:  # the store is full or down: not the picture's fault
        raise error
    return verdict | {"error": kept(error.to_dict())}


def check_placement(services: Services, place: Placement, labels: set[str]) -> None:
    """Raise errors in a picture's label or crop; otherwise count its labels among the data set's."""
    if place.error is not None:
        raise place.error
    found = [] if place.label is None else split_labels(place.label)
    if set(found) - labels and len(labels.union(found)) > services.settings.limits.dataset_classes:
        raise LabelRefused(f"The data set has {len(labels)} labels; which is the limit.")
    labels.update(found)


def commit(services: Services, job: Job, verdicts: list[dict[str, Any]], total: int) -> None:
    """Write images, verdicts and progress, all or nothing, while the attempt is current."""
    with services.database.transaction() as session:
        progress = {"completed": verdicts[-1]["seq"] + 1, "total": total, "phase": "reading"}
        renew(session, job, services.settings.jobs, **progress)
        dataset = datasets.find(session, dataset_of(job))
        author = session.get(ApiKey, job.created_by) if job.created_by else None
        images = [row["image"] for row in verdicts if row["image"]]
        added = iter(image_intake.take_in(session, dataset, images, job.id, author))
        rows = [settle(row, added) for row in verdicts]
        import_verdicts.add_verdicts(session, job.id, rows)
    for verdict, count in Counter(row["verdict"] for row in rows).items():
        meters().images_imported.labels(verdict).inc(count)


def settle(row: dict[str, Any], added: Iterator[IntakeOutcome]) -> dict[str, Any]:
    """Return a verdict as its row, now that it is known which pictures were new."""
    image = row.pop("image")
    if image is None:
        return row | {"verdict": "rejected", "image_id": None}
    found = next(added)
    known = {"image_id": found.image_id, "label": found.label}
    if found.error is not None:
        return row | known | {"verdict": "rejected", "error": kept(found.error.to_dict())}
    return row | known | {"verdict": "accepted" if found.new else "duplicate"}


def end(services: Services, job: Job, warnings: list[dict[str, Any]]) -> None:
    """End the job with its counts, queue an analysis if requested, and delete the uploaded files."""
    analysis = None
    with services.database.transaction() as session:
        counts = import_verdicts.count_verdicts(session, job.id)
        warnings += look_alikes(
            datasets.labels_of(session, dataset_of(job)), import_verdicts.labels_of(session, job.id)
        )
        torn, names = import_verdicts.under_two_labels(session, job.id)
        if names is not None:
            warnings.append(under_two_labels(torn, *names))
        result = {
            "dataset_id": job.dataset_id,
            "accepted": counts.get("accepted", 0),
            "duplicates": counts.get("duplicate", 0),
            "rejected": counts.get("rejected", 0),
            **({"warnings": kept(warnings)} if warnings else {}),
        }
        if services.settings.analysis.after_import and result["accepted"]:
            analysis = request_analysis(services, session, job)
            result["analysis_id"] = analysis
        if not jobs.finish(session, job, result, upload_sha256=None):
            raise Stale
    for sha256 in (job.upload_sha256, job.table_sha256):
        discard(services, sha256)
    if analysis:
        services.notifier.notify(Queue.INTAKE)


def request_analysis(services: Services, session: Session, job: Job) -> str:
    """Queue an analysis of the job's data set with default options, unless one is queued already."""
    usual = AnalysisCreate()
    request = FeaturesRequest(dataset=dataset_of(job), backbone=usual.backbone, image_size=usual.image_size)
    attempts = services.settings.jobs.max_attempts
    return jobs.create_once(session, JobKind.ANALYSIS, request, attempts, created_by=job.created_by).id
