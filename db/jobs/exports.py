"""Models in other formats, and the jobs that convert them."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.blobs import keep, upsert
from db.clock import now
from db.jobs.requests import ExportRequest
from db.models import Evaluation, EvaluationItem, Job, ModelExport
from db.registry import find_model
from tsukiji.errors import ModelGone, NotFound
from tsukiji.jobs import ACTIVE, JobKind, JobStatus


def put(session: Session, model_id: str, wanted: str, sha256: str, size: int, facts: dict[str, Any]) -> None:
    """Insert or replace an export whose bytes are in the store.

    Raises:
        ModelGone: the model was deleted meanwhile.
    """
    try:
        find_model(session, model_id)
    except NotFound as error:
        raise ModelGone(f"The model {model_id} was deleted.") from error
    keep(session, [(sha256, size)], made=True)
    made = {"sha256": sha256, "bytes": size, "facts": facts, "created_at": now()}
    row = upsert(session, ModelExport).values(model_id=model_id, format=wanted, **made)
    session.execute(row.on_conflict_do_update(index_elements=[ModelExport.model_id, ModelExport.format], set_=made))


def exports_of(session: Session, model_id: str) -> Sequence[ModelExport]:
    query = select(ModelExport).where(ModelExport.model_id == model_id).order_by(ModelExport.format)
    return session.scalars(query).all()


def find(session: Session, model_id: str, wanted: str) -> ModelExport:
    """Return the export.

    Raises:
        NotFound: it was not made yet.
    """
    row = session.get(ModelExport, (model_id, wanted))
    if row is None:
        raise NotFound(
            f"This model was not exported as {wanted!r} yet.", hint="POST /v1/models/{model}/exports starts an export."
        )
    return row


def find_job(session: Session, model_id: str, wanted: str) -> Job | None:
    """Return the newest job for this export, finished or not."""
    there = session.get(ModelExport, (model_id, wanted)) is not None
    good = ACTIVE | {JobStatus.SUCCEEDED} if there else ACTIVE
    mine = (Job.kind == JobKind.EXPORT, Job.model_id == model_id, Job.status.in_(good))
    found = session.scalars(select(Job).where(*mine).order_by(Job.id.desc()))
    return next(
        (job for job in found if ExportRequest.of(job).format == wanted and job.status != JobStatus.CANCELLING), None
    )


def held_out(session: Session, model_id: str) -> list[str]:
    """Return the hashes of the images of the model's first evaluation, in order; none if it has no evaluation."""
    first = select(Evaluation.id).where(Evaluation.model_id == model_id).order_by(Evaluation.id).limit(1)
    query = select(EvaluationItem.sha256).where(EvaluationItem.evaluation_id == first.scalar_subquery())
    return list(session.scalars(query.order_by(EvaluationItem.seq)))
