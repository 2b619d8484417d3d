"""Filters and order of a batch's results, for pages and streams."""

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import Depends, Query

from api.serialize.predictions import unreached
from api.serialize.thresholds import ThresholdsDep
from db.models import Job
from db.predictions.results import Order, Status, Wanted

ItemStatus = Literal["queued", "succeeded", "errored", "cancelled", "expired"]
Bound = Annotated[float | None, Query(ge=0, le=1)]


@dataclass(frozen=True)
class Selection:
    """Filters; None leaves one out. Decisions are made by `thresholds`."""

    thresholds: ThresholdsDep
    status: Annotated[ItemStatus | None, Query()] = None
    label: Annotated[str | None, Query(description="Likeliest label, whatever the decision.")] = None
    decision: Annotated[str | None, Query(description="Decision is this label.")] = None
    abstained: Annotated[
        bool | None, Query(description="`true`: classified without a decision; `false`: with one.")
    ] = None
    abstain_reason: Annotated[
        Literal["none_of_these", "below_threshold"] | None, Query(description="Without a decision, for this reason.")
    ] = None
    min_score: Bound = None
    max_score: Bound = None
    error: Annotated[str | None, Query(description="Failed with this error code.")] = None
    true_label: Annotated[str | None, Query(description="True label in the data set.")] = None
    order: Annotated[
        Order,
        Query(description="`score`: least certain first; `-score`: most certain first; only images with a score."),
    ] = "seq"

    def wanted(self, job: Job, *, reached: bool = False) -> Wanted | None:
        """Return the database's filters, or those of the `reached` images; None if the job cannot have such images."""
        if self.status is None:
            status: Status | None = "reached" if reached else None
        elif self.status in {"succeeded", "errored"}:
            status = "succeeded" if self.status == "succeeded" else "errored"
        elif self.status == unreached(job) and not reached:
            status = "unreached"
        else:
            return None
        rule = self.thresholds.rule(job)
        if (self.decision, self.abstained, self.abstain_reason) != (None, None, None):
            rule.check_stored()  # before a stream has begun
        return Wanted(
            rule=rule,
            status=status,
            label=self.label,
            decision=self.decision,
            abstained=self.abstained,
            abstain_reason=self.abstain_reason,
            min_score=self.min_score,
            max_score=self.max_score,
            error=self.error,
            true_label=self.true_label,
            order=self.order,
        )


SelectionDep = Annotated[Selection, Depends()]
