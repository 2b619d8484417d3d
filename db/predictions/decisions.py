"""From scores to a decision: one rule, implemented in Python and in SQL.

A multi-label model decides by its own thresholds, known to the worker only: the set is stored in the row. For another
threshold it is recomputed from the probabilities, which Python can decode and the database cannot.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

from sqlalchemy import ColumnElement, case, null

from db.jobs.requests import BatchRequest
from db.models import Job, Prediction
from tsukiji.errors import Invalid
from tsukiji.labels import SEPARATOR, decide_set
from tsukiji.types.batches import MIN_KNOWN

NONE_OF_THESE: Final = "none_of_these"
BELOW_THRESHOLD: Final = "below_threshold"


@dataclass(frozen=True)
class Rule:
    """A decision needs this probability, and this known score.

    Attributes:
        several: the model is multi-label; `threshold` then applies to all labels, and 0 means the model's own.
        recomputed: the sets must be recomputed, because `threshold` differs from the one behind the stored sets.
    """

    threshold: float
    min_known: float
    several: bool = False
    recomputed: bool = False

    @classmethod
    def of(cls, job: Job) -> Self:
        """Return the rule that the job was started with."""
        asked = BatchRequest.of(job)
        min_known = MIN_KNOWN if asked.min_known is None else asked.min_known
        return cls(asked.threshold, min_known, asked.kind == "multi_label")

    def changed(self, threshold: float | None, min_known: float | None) -> Self:
        """Return the rule with other thresholds; None keeps one, and so does 0 where the model has its own."""
        if self.several:
            threshold = threshold or None
        return replace(
            self,
            threshold=self.threshold if threshold is None else threshold,
            min_known=self.min_known if min_known is None else min_known,
            recomputed=self.several and threshold not in {None, self.threshold},
        )

    def check_stored(self) -> None:
        """Raise Invalid if the database cannot evaluate the rule."""
        if self.recomputed:
            raise Invalid(
                f"The threshold {self.threshold:g} of a multi-label model is applied as results are read; images can "
                "be filtered or counted only by the batch's own decisions.",
                hint="Omit `threshold`, start a batch with it, or filter the results yourself.",
            )

    def decided(self, stored: str, names: Sequence[str], probabilities: Sequence[float]) -> str:
        """Return the predicted set of labels as text, regardless of the known score."""
        return decide_set(names, probabilities, [self.threshold] * len(names)) if self.recomputed else stored

    def refusal(self, score: float, known_score: float | None, labels: str | None = None) -> str | None:
        """Return why there is no decision; None if there is one. `labels` is the set of a multi-label model."""
        if known_score is not None and known_score < self.min_known:
            return NONE_OF_THESE
        if self.several:
            return BELOW_THRESHOLD if labels == SEPARATOR else None
        return BELOW_THRESHOLD if score < self.threshold else None

    @property
    def refusal_column(self) -> ColumnElement[str | None]:
        """The same as SQL, for rows with a score; a row without a known score passes."""
        return case(
            (Prediction.known_score < self.min_known, NONE_OF_THESE),
            (Prediction.labels == SEPARATOR if self.several else Prediction.score < self.threshold, BELOW_THRESHOLD),
            else_=null(),
        )
