"""From what a model says of an image to a decision: the thresholds of a request, or others when results are read."""

from dataclasses import dataclass
from typing import Annotated, Self

from fastapi import Depends, Query

from db.models import Job
from tsukiji.types.batches import MIN_KNOWN


@dataclass(frozen=True)
class Rule:
    """A decision needs this probability, and this known score."""

    threshold: float
    min_known: float

    @classmethod
    def of(cls, job: Job) -> Self:
        """Return the rule that the job was started with."""
        min_known = job.request.get("min_known")
        return cls(job.request["threshold"], MIN_KNOWN if min_known is None else min_known)

    def refusal(self, score: float, known_score: float | None) -> str | None:
        """Return why there is no decision; None where there is one."""
        if known_score is not None and known_score < self.min_known:
            return "none_of_these"
        return "below_threshold" if score < self.threshold else None


@dataclass(frozen=True)
class Wish:
    """Thresholds that a reader asks for; None takes the job's."""

    threshold: float | None
    min_known: float | None

    def rule(self, job: Job) -> Rule:
        usual = Rule.of(job)
        return Rule(
            usual.threshold if self.threshold is None else self.threshold,
            usual.min_known if self.min_known is None else self.min_known,
        )


Share = Annotated[float | None, Query(ge=0, le=1, description="Decide anew by this; the batch's own if absent.")]


def read_wish(threshold: Share = None, min_known: Share = None) -> Wish:
    return Wish(threshold, min_known)


WishDep = Annotated[Wish, Depends(read_wish)]
AS_ASKED = Wish(None, None)
