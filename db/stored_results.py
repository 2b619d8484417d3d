"""Results of batches wherever they are: rows, or parts in the store."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from db.jobs import guarantees
from db.jobs.batches import has_parts
from db.models import Job
from db.paging import Window
from db.parts.files import PartStore
from db.parts.reading import PartReader
from db.predictions import results
from db.predictions.decisions import Rule
from db.predictions.results import Group, ResultRow, Wanted


def page(
    session: Session, files: PartStore, job: Job, window: Window, wanted: Wanted | None = None
) -> tuple[list[ResultRow], str | None]:
    """Return one page of a batch's images.

    Raises:
        Invalid: the cursor is malformed.
        BlobMissing, BlobCorrupt: a part was damaged.
    """
    if has_parts(job):
        return PartReader(session, files, job).page(window, wanted or Wanted())
    return results.page(session, job.id, window, wanted)


def groups(session: Session, files: PartStore, job: Job, rule: Rule) -> list[Group]:
    """Count a batch's classified images by label and outcome."""
    if has_parts(job):
        return PartReader(session, files, job).groups(rule)
    return results.groups(session, job.id, rule)


def decisions(session: Session, files: PartStore, job: Job, seqs: Sequence[int]) -> dict[int, tuple[str, str]]:
    """Return names and decided labels of results, by `seq`; nothing of those whose results were deleted."""
    if not has_parts(job):
        return guarantees.decisions(session, job.id, seqs)
    if job.results_deleted_at is not None:
        return {}
    rows = (found.row for found in PartReader(session, files, job).find(seqs))
    return {row.seq: (row.custom_id, row.label) for row in rows if row.label is not None}
