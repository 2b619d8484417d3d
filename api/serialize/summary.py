"""The summary of a batch: its groups added up."""

from collections import Counter
from collections.abc import Mapping, Sequence

from api.serialize import job_records
from db.models import Job
from db.predictions.decisions import BELOW_THRESHOLD, NONE_OF_THESE
from db.predictions.results import Group
from tsukiji.labels import split_labels
from tsukiji.types import BatchDrift, BatchSummary, ErrorSummary, LabelSummary


def summarise(
    job: Job, groups: Sequence[Group], errors: Mapping[str, int], drift: BatchDrift | None = None
) -> BatchSummary:
    images: Counter[str] = Counter()
    decisions: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    for group in groups:
        for label in split_labels(group.label):
            images[label] += group.images
            if group.refusal is None:
                decisions[label] += group.images
        if group.refusal is not None:
            refused[group.refusal] += group.images
    labels = sorted(images, key=lambda label: (-images[label], label))
    return BatchSummary(
        counts=job_records.counts(job),
        labels=[LabelSummary(label=label, images=images[label], decisions=decisions[label]) for label in labels],
        none_of_these=refused[NONE_OF_THESE],
        below_threshold=refused[BELOW_THRESHOLD],
        errors=[ErrorSummary(code=code, images=count) for code, count in errors.items()],
        drift=drift,
    )
