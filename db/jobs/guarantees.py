"""What was promised of a batch's decisions: its random sample, people's answers, and the event of a broken bound."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from db import webhooks
from db.bulk import insert_rows
from db.clock import now
from db.jobs import jobs
from db.jobs.requests import BatchRequest
from db.models import BatchGuarantee, BatchItem, GuaranteeCheck, Job, Prediction
from tsukiji.guarantee.sequential import interval, sample_size
from tsukiji.types.batches import MIN_KNOWN

EVENT: Final = "batch.guarantee_broken"


@dataclass(frozen=True)
class Checked:
    """What the sample says: answers count in its order, up to the first that is missing, so none can be picked."""

    decided: int
    sample: int
    checked: int
    wrong: int
    interval: tuple[float, float]


@dataclass(frozen=True)
class Drawn:
    """How many decisions a batch made, and the numbers of those to check, in random order."""

    decided: int
    seqs: Sequence[int]


def conclude(session: Session, job_id: str) -> None:
    """Draw the sample of a batch with rows that has succeeded, if anything was promised of it."""
    asked = BatchRequest.of(jobs.find(session, job_id))
    if asked.target_error is None:
        return
    # The rule of `db.predictions.decisions`: with a target there is no other bound of the known score.
    known = Prediction.known_score.is_(None) | (Prediction.known_score >= MIN_KNOWN)
    decided = (Prediction.job_id == job_id, Prediction.score >= asked.threshold, known)
    seqs = session.scalars(select(Prediction.seq).where(*decided).order_by(Prediction.seq)).all()
    keep(session, job_id, Drawn(len(seqs), [seqs[place] for place in draw(asked, len(seqs))]))


def draw(asked: BatchRequest, decided: int) -> list[int]:
    """Return the places among all decisions of those to check, in random order."""
    if not decided or asked.target_error is None:
        return []
    return random.SystemRandom().sample(range(decided), sample_size(decided, asked.target_error, asked.confidence))


def keep(session: Session, job_id: str, drawn: Drawn) -> None:
    """Write a batch's sample."""
    session.add(BatchGuarantee(job_id=job_id, decided=drawn.decided))
    session.flush()
    rows = [{"job_id": job_id, "place": at, "seq": seq} for at, seq in enumerate(drawn.seqs)]
    if rows:
        insert_rows(session, GuaranteeCheck, rows)


def of_batch(session: Session, job_id: str) -> BatchGuarantee | None:
    """Return the row; None until the batch has succeeded."""
    return session.get(BatchGuarantee, job_id, populate_existing=True)


def checks(session: Session, job_id: str) -> list[GuaranteeCheck]:
    """Return the sample in its order."""
    mine = select(GuaranteeCheck).where(GuaranteeCheck.job_id == job_id).order_by(GuaranteeCheck.place)
    return list(session.scalars(mine.execution_options(populate_existing=True)))


def decisions(session: Session, job_id: str, seqs: Sequence[int]) -> dict[int, tuple[str, str]]:
    """Return names and decided labels of results, by `seq`; nothing of those whose results were deleted."""
    mine = (BatchItem.job_id == job_id, BatchItem.seq.in_(seqs), Prediction.label.is_not(None))
    query = select(BatchItem.seq, BatchItem.custom_id, Prediction.label).where(*mine)
    joined = query.join(Prediction, (Prediction.job_id == BatchItem.job_id) & (Prediction.seq == BatchItem.seq))
    return {seq: (custom_id, label or "") for seq, custom_id, label in session.execute(joined)}


def count(row: BatchGuarantee, sample: list[GuaranteeCheck], asked: BatchRequest) -> Checked | None:
    """Return what the answers say so far; None if nothing was decided."""
    if asked.target_error is None or not row.decided:
        return None
    answers = [check.correct for check in takewhile(lambda check: check.correct is not None, sample)]
    wrong = answers.count(False)
    found = interval(wrong, len(answers), row.decided, asked.target_error, asked.confidence)
    return Checked(row.decided, len(sample), len(answers), wrong, found)


def note_answers(session: Session, job: Job, correct: Mapping[int, bool]) -> None:
    """Write which of a batch's decisions a person found right, by `seq`; those outside the sample are left out.

    The first time that the interval lies above the target, the batch's history and webhooks are told.
    """
    row = session.get(BatchGuarantee, job.id, with_for_update=True, populate_existing=True)
    if row is None:
        return
    sample = checks(session, job.id)
    for check in sample:
        if check.seq in correct:
            check.correct, check.checked_at = correct[check.seq], now()
    session.flush()
    asked = BatchRequest.of(job)
    found = count(row, sample, asked)
    if found is None or row.broken or found.interval[0] <= (asked.target_error or 0.0):
        return
    row.broken = True
    told: dict[str, Any] = {"target_error": asked.target_error, "checked": found.checked, "wrong": found.wrong}
    told |= {"interval": [round(end, 5) for end in found.interval]}
    jobs.record(session, job.id, "log", {"message": "more decisions are wrong than were promised", **told})
    webhooks.emit(session, job.project_id, EVENT, lambda: describe(job, told))


def describe(job: Job, told: dict[str, Any]) -> dict[str, Any]:
    """Return what webhooks are told."""
    links = {"self": f"/v1/batches/{job.id}/guarantee", "batch": f"/v1/batches/{job.id}"}
    return {"batch_id": job.id, "model_id": job.model_id, **told, "links": links}
