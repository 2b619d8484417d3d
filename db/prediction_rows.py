"""Writing predictions: used by batches and synchronous predictions."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from sqlalchemy.orm import Session

from db.bulk import insert_rows
from db.models import Job, Prediction
from db.probabilities import narrow
from db.session import after_commit
from tsukiji.jobs import JobKind
from tsukiji.kernel.metrics import meters

INSERT_ROWS = 1000


def write(session: Session, job: Job, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Insert predictions of a job whose items exist, and return the rows as stored.

    Each row has all columns but `job_id`, with probabilities in float32.
    """
    kept = [row | {"job_id": job.id} for row in rows]
    if job.kind != JobKind.EVALUATION:  # its losses are computed from them
        kept = [row | {"probabilities": narrow(row["probabilities"])} for row in kept]
    for start in range(0, len(kept), INSERT_ROWS):
        insert_rows(session, Prediction, kept[start : start + INSERT_ROWS])
    after_commit(session, partial(count, kept))
    return kept


def count(rows: Sequence[dict[str, Any]]) -> None:
    errored = sum(row["error"] is not None for row in rows)
    count_images(len(rows) - errored, errored)


def count_images(succeeded: int, errored: int) -> None:
    meters().images_classified.labels("errored").inc(errored)
    meters().images_classified.labels("succeeded").inc(succeeded)
