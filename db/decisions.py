"""From what a model says of an image to a decision: one rule, told to Python and to the database."""

from dataclasses import dataclass
from typing import Final, Self

from sqlalchemy import ColumnElement, case, null

from db.models import Job, Prediction
from tsukiji.types.batches import MIN_KNOWN

NONE_OF_THESE: Final = "none_of_these"
BELOW_THRESHOLD: Final = "below_threshold"


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
            return NONE_OF_THESE
        return BELOW_THRESHOLD if score < self.threshold else None

    @property
    def refusal_column(self) -> ColumnElement[str | None]:
        """The same of a row that has a score; a row without a known score is not below any."""
        return case(
            (Prediction.known_score < self.min_known, NONE_OF_THESE),
            (Prediction.score < self.threshold, BELOW_THRESHOLD),
            else_=null(),
        )
