"""Results of a batch: its images and predictions, filtered, ordered and counted.

Pages are chosen by indexed keys alone; the wide rows are fetched for one page only.
"""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from sqlalchemy import ColumnElement, Select, false, func, null, or_, select, tuple_
from sqlalchemy.orm import Session

from db.labels import holds
from db.models import BatchItem, Job, Prediction
from db.paging import Window
from db.predictions.decisions import Rule
from tsukiji.errors import ResultsDeleted

Status = Literal["succeeded", "errored", "unreached", "reached"]
Order = Literal["seq", "score", "-score"]
Rows = Select[*tuple[Any, ...]]


class ResultRow(NamedTuple):
    """One image; what follows `reached` is null while there is no prediction."""

    seq: int
    custom_id: str
    sha256: str | None
    true_label: str | None
    reached: int | None
    label: str | None
    score: float | None
    known_score: float | None
    probabilities: bytes | None
    tags: list[dict[str, Any]] | None
    heatmap: dict[str, Any] | None
    width: int | None
    height: int | None
    labels: str | None
    error: dict[str, Any] | None


COLUMNS = (
    BatchItem.seq,
    BatchItem.custom_id,
    BatchItem.sha256,
    BatchItem.true_label,
    Prediction.seq,
    Prediction.label,
    Prediction.score,
    Prediction.known_score,
    Prediction.probabilities,
    Prediction.tags,
    Prediction.heatmap,
    Prediction.width,
    Prediction.height,
    Prediction.labels,
    Prediction.error,
)


@dataclass(frozen=True)
class Wanted:
    """Filters and order of results; None: not filtered. `rule` defines a decision."""

    rule: Rule | None = None
    status: Status | None = None
    label: str | None = None
    decision: str | None = None
    abstained: bool | None = None
    abstain_reason: str | None = None
    min_score: float | None = None
    max_score: float | None = None
    error: str | None = None
    true_label: str | None = None
    order: Order = "seq"
    """Order by `score` leaves out images without one."""

    @property
    def several(self) -> bool:
        """Return whether the decisions are sets of labels."""
        return self.rule is not None and self.rule.several

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return the conditions on a prediction."""
        label, score = Prediction.label, Prediction.score
        found = [] if self.label is None else [label == self.label]
        if self.decision is not None:
            found.append(holds(Prediction.labels, self.decision) if self.several else label == self.decision)
        if self.min_score is not None:
            found.append(score >= self.min_score)
        if self.max_score is not None:
            found.append(score <= self.max_score)
        if self.status == "succeeded" or self.order != "seq":
            found.append(score.is_not(None))
        if self.status == "errored" or self.error is not None:
            found.append(score.is_(None))
        if self.error is not None:
            found.append(Prediction.error["code"].as_string() == self.error)
        return found + self.verdict()

    def verdict(self) -> list[ColumnElement[bool]]:
        """Return the conditions on its decision."""
        if self.rule is None or (self.decision is None and self.abstained is None and self.abstain_reason is None):
            return []
        self.rule.check_stored()
        refusal = self.rule.refusal_column
        found: list[ColumnElement[bool]] = [Prediction.score.is_not(None)]
        if self.decision is not None or self.abstained is False:
            found.append(refusal.is_(None))
        if self.abstained:
            found.append(refusal.is_not(None))
        if self.abstain_reason is not None:
            found.append(refusal == self.abstain_reason)
        return found


def check_kept(job: Job) -> None:
    """Raise ResultsDeleted if the results no longer exist."""
    if job.results_deleted_at is not None:
        raise ResultsDeleted(f"The results of {job.id} were deleted at {job.results_deleted_at:%Y-%m-%d %H:%M:%S} UTC.")


def page(
    session: Session, job_id: str, window: Window, wanted: Wanted | None = None
) -> tuple[list[ResultRow], str | None]:
    """Return one page of a batch's images."""
    wanted = wanted or Wanted()
    part = keys(job_id, window, wanted).subquery()
    of_item = (BatchItem.job_id == job_id) & (BatchItem.seq == part.c.seq)
    of_prediction = (Prediction.job_id == job_id) & (Prediction.seq == part.c.seq)
    query = select(*COLUMNS).select_from(part).join(BatchItem, of_item).outerjoin(Prediction, of_prediction)
    rows = [ResultRow(*row) for row in session.execute(query.order_by(*ordered(part.c.score, part.c.seq, wanted)))]
    more = len(rows) > window.limit
    rows = rows[: window.limit]
    return rows, window.cursor_after(key_of(rows[-1], wanted)) if more else None


def last_answer(session: Session, sha256: str) -> tuple[Job, Prediction] | None:
    """Return what a model said last of a picture with this content, and in which job; None where no result is kept."""
    query = (
        select(Job, Prediction)
        .join(Prediction, Prediction.job_id == Job.id)
        .join(BatchItem, (BatchItem.job_id == Prediction.job_id) & (BatchItem.seq == Prediction.seq))
        .where(BatchItem.sha256 == sha256, Prediction.score.is_not(None), Job.results_deleted_at.is_(None))
        .order_by(Job.created_at.desc(), Job.id.desc())
        .limit(1)
    )
    found = session.execute(query).first()
    return (found[0], found[1]) if found else None


def keys(job_id: str, window: Window, wanted: Wanted) -> Rows:
    """Return the query of the keys (seq, score) of one page, plus one."""
    conditions = wanted.conditions()
    if conditions or wanted.status == "reached":
        query: Rows = select(Prediction.seq, Prediction.score).where(Prediction.job_id == job_id, *conditions)
        if wanted.true_label is not None:
            query = query.join(BatchItem, (BatchItem.job_id == job_id) & (BatchItem.seq == Prediction.seq))
        seq: Any = Prediction.seq
    else:
        query = select(BatchItem.seq, null().label("score")).where(BatchItem.job_id == job_id)
        seq = BatchItem.seq
    if wanted.status == "unreached" and conditions:
        query = query.where(false())  # these are of predictions
    elif wanted.status == "unreached":
        reached = select(Prediction.seq).where(Prediction.job_id == job_id, Prediction.seq == BatchItem.seq)
        query = query.where(~reached.exists())
    if wanted.true_label is not None:
        true_label = BatchItem.true_label
        query = query.where(or_(true_label == wanted.true_label, holds(true_label, wanted.true_label)))
    query = query.where(*after(seq, window, wanted))
    return query.order_by(*ordered(Prediction.score, seq, wanted)).limit(window.limit + 1)


def after(seq: Any, window: Window, wanted: Wanted) -> list[ColumnElement[bool]]:
    """Return the condition at which the page begins.

    Raises:
        Invalid: the cursor is malformed.
    """
    if wanted.order == "seq":
        last = window.after(int)
        return [] if last is None else [seq > last]
    last = window.after(float, int)
    if last is None:
        return []
    here = tuple_(Prediction.score, seq)
    return [here > last if wanted.order == "score" else here < last]


def ordered(score: Any, seq: Any, wanted: Wanted) -> tuple[Any, ...]:
    match wanted.order:
        case "score":
            return (score, seq)
        case "-score":
            return (score.desc(), seq.desc())
    return (seq,)


def key_of(row: ResultRow, wanted: Wanted) -> Any:
    return row.seq if wanted.order == "seq" else [row.score, row.seq]


class Group(NamedTuple):
    """Images with the same predicted label (or set) and outcome: a decision where `refusal` is null."""

    label: str
    refusal: str | None
    images: int


def groups(session: Session, job_id: str, rule: Rule) -> list[Group]:
    """Count a batch's classified images by label and outcome."""
    rule.check_stored()
    refusal, label = rule.refusal_column.label("refusal"), Prediction.labels if rule.several else Prediction.label
    query: Rows = select(label, refusal, func.count())
    query = query.where(Prediction.job_id == job_id, Prediction.score.is_not(None)).group_by(label, refusal)
    return [Group(*row) for row in session.execute(query)]
