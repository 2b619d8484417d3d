"""What was promised of a batch, as an answer."""

from api.serialize import job_records
from db import stored_results
from db.jobs import drift, guarantees
from db.jobs.requests import BatchRequest
from db.models import GuaranteeCheck, Job
from db.parts.files import PartStore
from db.session import Session
from tsukiji import types
from tsukiji.errors import NotFound
from tsukiji.jobs import TERMINAL
from tsukiji.types.guarantees import GuaranteeCheck as Check

NEXT_CHECKS = 100


def of_batch(session: Session, files: PartStore, job: Job) -> types.BatchGuarantee:
    """Return what was promised, whether it holds, and what is to be checked.

    Raises:
        NotFound: nothing was promised.
    """
    asked, row = BatchRequest.of(job), guarantees.of_batch(session, job.id)
    if asked.target_error is None:
        raise NotFound(f"Nothing was promised of the batch {job.id}.", hint="Start it with `target_error`.")
    told = types.BatchGuarantee(
        batch_id=job.id,
        model_id=asked.model,
        target_error=asked.target_error,
        confidence=asked.confidence,
        threshold=asked.threshold,
        status="pending",
        reason="the batch has not succeeded" if job.status in TERMINAL else "the batch is running",
        links={"batch": f"/v1/batches/{job.id}", "items": f"/v1/batches/{job.id}/items"},
    )
    if row is None:
        return told
    sample = guarantees.checks(session, job.id)
    found = guarantees.count(row, sample, asked)
    told.decided, told.left = row.decided, job_records.counts(job).succeeded - row.decided
    told.reason = withdrawn(session, job)
    told.status = "withdrawn" if told.reason else "promised"
    if found is not None:
        told.sample, told.checked, told.wrong = found.sample, found.checked, found.wrong
        told.interval = found.interval
        if row.broken or found.interval[0] > asked.target_error:
            told.status, told.reason = "broken", "the sample has more errors than were promised"
        elif found.interval[1] <= asked.target_error:
            told.status, told.reason = "confirmed", None
    told.checks = listed(session, files, job, [check for check in sample if check.correct is None][:NEXT_CHECKS])
    return told


def withdrawn(session: Session, job: Job) -> str | None:
    """Return why the held-out images say nothing about these; None if they do."""
    row = drift.of_batch(session, job.id)
    if row is None or row.p_value is None:
        return "the model has no record of its held-out images to compare these with"
    if row.exceeded:
        return (
            f"{row.strange} images are unlike the held-out ones, where {row.expected or 0:.0f} were expected: the "
            "promise rests on images like those"
        )
    return None


def listed(session: Session, files: PartStore, job: Job, sample: list[GuaranteeCheck]) -> list[Check]:
    found = stored_results.decisions(session, files, job, [check.seq for check in sample])
    return [
        Check(seq=check.seq, custom_id=found[check.seq][0], decision=found[check.seq][1])
        for check in sample
        if check.seq in found
    ]
