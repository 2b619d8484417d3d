"""Drift: kept counts to responses."""

from collections.abc import Sequence

from db.jobs import drift
from db.jobs.requests import BatchRequest
from db.models import BatchDrift, Job
from db.session import Session
from tsukiji import types
from tsukiji.vision.drift import Distribution, HeldOut, discrepancy, kolmogorov, total_variation


def of_batch(session: Session, job: Job) -> types.BatchDrift | None:
    """Return what a batch's pictures are like so far; None before the first."""
    row = drift.of_batch(session, job.id)
    if row is None:
        return None
    return batch_drift(row, BatchRequest.of(job).label_names, drift.held_out_of(session, row.model_id))


def distribution(found: Distribution, label_names: Sequence[str]) -> types.PictureDistribution:
    counts = zip(label_names, found.labels.tolist(), strict=True)
    return types.PictureDistribution(
        images=found.images,
        labels={label: images for label, images in counts if images},
        scores=found.scores.tolist(),
        known_scores=found.known.tolist(),
    )


def batch_drift(row: BatchDrift, label_names: Sequence[str], held_out: HeldOut | None) -> types.BatchDrift:
    found = Distribution.from_bytes(row.distribution)
    distances: dict[str, float | None] = {}
    if held_out is not None:
        usual = held_out.distribution
        distances = {
            "label_distance": total_variation(found.labels, usual.labels),
            "score_distance": kolmogorov(found.scores, usual.scores),
            "known_distance": kolmogorov(found.known, usual.known),
            "embedding_distance": discrepancy(found, usual),
        }
    return types.BatchDrift(
        batch_id=row.job_id,
        model_id=row.model_id,
        created_at=row.created_at,
        images=found.images,
        strange=row.strange,
        expected=row.expected,
        p_value=row.p_value,
        exceeded=row.exceeded,
        pictures=distribution(found, label_names),
        links={"batch": f"/v1/batches/{row.job_id}", "model": f"/v1/models/{row.model_id}"},
        **distances,
    )
