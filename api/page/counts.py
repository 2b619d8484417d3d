"""Counts that the rail and its screen both show: each is asked for once in a session, which only reads."""

from db.curation import analyses, datasets
from db.curation.datasets import ImageCounts
from db.session import Session


def of_images(session: Session, dataset_id: str) -> ImageCounts:
    known: dict[str, ImageCounts] = session.info.setdefault("image_counts", {})
    if dataset_id not in known:
        known |= datasets.count_images(session, [dataset_id])
    return known[dataset_id]


def of_findings(session: Session, dataset_id: str) -> dict[str, int]:
    """Return the number of open findings of each kind."""
    known: dict[str, dict[str, int]] = session.info.setdefault("finding_counts", {})
    if dataset_id not in known:
        known[dataset_id] = analyses.count(session, dataset_id)
    return known[dataset_id]
