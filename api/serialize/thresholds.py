"""Thresholds that a reader asks for in place of the job's own."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Query

from db.models import Job
from db.predictions.decisions import Rule

Share = Annotated[float | None, Query(ge=0, le=1, description="Decide anew by this; the batch's own if absent.")]


@dataclass(frozen=True)
class Wish:
    """Thresholds that a reader asks for; None takes the job's."""

    threshold: Share = None
    min_known: Share = None

    def rule(self, job: Job) -> Rule:
        return Rule.of(job).changed(self.threshold, self.min_known)


AS_ASKED = Wish()
WishDep = Annotated[Wish, Depends()]
