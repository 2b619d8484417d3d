"""From what a model says of an image to a decision: one rule, told to Python and to the database.

A model of several labels has decided for a set already, by thresholds that only its worker knows: the set stands in the
row. By another threshold it is decided anew from the probabilities, which Python can read and the database cannot.
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
        several: the model has several labels for an image; `threshold` is for all of them, 0 for the model's own.
        anew: their sets are to be decided by another threshold than the one that those in the rows go by.
    """

    threshold: float
    min_known: float
    several: bool = False
    anew: bool = False

    @classmethod
    def of(cls, job: Job) -> Self:
        """Return the rule that the job was started with."""
        asked = BatchRequest.of(job)
        min_known = MIN_KNOWN if asked.min_known is None else asked.min_known
        return cls(asked.threshold, min_known, asked.kind == "multi_label")

    def changed(self, threshold: float | None, min_known: float | None) -> Self:
        """Return the rule with other thresholds; None is no wish, nor is 0 where the model has its own."""
        if self.several:
            threshold = threshold or None
        return replace(
            self,
            threshold=self.threshold if threshold is None else threshold,
            min_known=self.min_known if min_known is None else min_known,
            anew=self.several and threshold not in {None, self.threshold},
        )

    def check_stored(self) -> None:
        """Raise Invalid where the database cannot say what is decided."""
        if self.anew:
            raise Invalid(
                f"The threshold {self.threshold:g} of a multi-label model is applied as results are read; images can "
                "be filtered or counted only by the batch's own decisions.",
                hint="Omit `threshold`, start a batch with it, or filter the results yourself.",
            )

    def decided(self, stored: str, names: Sequence[str], probabilities: Sequence[float]) -> str:
        """Return the set of labels that is decided for, as one text, whatever the known score."""
        return decide_set(names, probabilities, [self.threshold] * len(names)) if self.anew else stored

    def refusal(self, score: float, known_score: float | None, labels: str | None = None) -> str | None:
        """Return why there is no decision; None where there is one. `labels` are those of a model of several."""
        if known_score is not None and known_score < self.min_known:
            return NONE_OF_THESE
        if self.several:
            return BELOW_THRESHOLD if labels == SEPARATOR else None
        return BELOW_THRESHOLD if score < self.threshold else None

    @property
    def refusal_column(self) -> ColumnElement[str | None]:
        """The same of a row that has a score; a row without a known score is not below any."""
        return case(
            (Prediction.known_score < self.min_known, NONE_OF_THESE),
            (Prediction.labels == SEPARATOR if self.several else Prediction.score < self.threshold, BELOW_THRESHOLD),
            else_=null(),
        )
