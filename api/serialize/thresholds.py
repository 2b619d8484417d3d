"""Thresholds in a query, instead of the job's own."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Query

from db.models import Job
from db.predictions.decisions import Rule

Share = Annotated[float | None, Query(ge=0, le=1, description="Threshold to apply; by default the batch's own.")]


@dataclass(frozen=True)
class Thresholds:
    """Thresholds requested by a reader; None uses the job's."""

    threshold: Share = None
    min_known: Share = None

    def rule(self, job: Job) -> Rule:
        return Rule.of(job).changed(self.threshold, self.min_known)


AS_ASKED = Thresholds()
ThresholdsDep = Annotated[Thresholds, Depends()]
