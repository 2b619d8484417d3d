"""Two evaluations side by side: the images that both hold, matched by content."""

from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Select, case, func, select
from sqlalchemy.orm import Session, aliased

from db.models import EvaluationItem

Query = TypeVar("Query", bound=Select[*tuple[Any, ...]])

A, B = aliased(EvaluationItem), aliased(EvaluationItem)


@dataclass(frozen=True)
class Tally:
    """How many shared images of a label (or set) each model classifies correctly."""

    label: str
    right_a: bool
    right_b: bool
    images: int


def shared(query: Query, evaluation_a: str, evaluation_b: str) -> Query:
    """Restrict a query on `A` and `B` to the pairs of the same picture."""
    return query.where(A.evaluation_id == evaluation_a, B.evaluation_id == evaluation_b, A.sha256 == B.sha256)


def tally(session: Session, evaluation_a: str, evaluation_b: str) -> list[Tally]:
    """Count the shared images whose true label is the same in both."""
    right_a, right_b = (case((item.predicted_label == item.true_label, 1), else_=0) for item in (A, B))
    query = select(A.true_label, right_a, right_b, func.count()).where(A.true_label == B.true_label)
    rows = session.execute(shared(query, evaluation_a, evaluation_b).group_by(A.true_label, right_a, right_b))
    return [Tally(label, bool(a), bool(b), images) for label, a, b, images in rows]


@dataclass(frozen=True)
class SetTally:
    """How many shared images have this set of labels, and the sets predicted by both models."""

    labels: str
    labels_a: str
    labels_b: str
    images: int


def tally_sets(session: Session, evaluation_a: str, evaluation_b: str) -> list[SetTally]:
    """Count the shared images whose true set of labels is the same in both."""
    sets = A.true_label, A.predicted_label, B.predicted_label
    query = shared(select(*sets, func.count()).where(A.true_label == B.true_label), evaluation_a, evaluation_b)
    return [SetTally(*row) for row in session.execute(query.group_by(*sets))]


def count_relabelled(session: Session, evaluation_a: str, evaluation_b: str) -> int:
    """Count the shared images whose true label was changed between the two."""
    query = select(func.count()).select_from(A, B).where(A.true_label != B.true_label)
    return session.scalar(shared(query, evaluation_a, evaluation_b)) or 0


def count_items(session: Session, evaluation_id: str) -> int:
    return session.scalar(select(func.count()).where(EvaluationItem.evaluation_id == evaluation_id)) or 0


def count_changed(session: Session, evaluation_a: str, evaluation_b: str) -> int:
    return (
        session.scalar(shared(select(func.count()).select_from(A, B).where(*changed()), evaluation_a, evaluation_b))
        or 0
    )


def changed_items(
    session: Session, evaluation_a: str, evaluation_b: str, limit: int
) -> list[tuple[EvaluationItem, EvaluationItem]]:
    """Return images classified differently: first those that only a gets right, then those that only b does."""
    rank = case((A.predicted_label == A.true_label, 0), (B.predicted_label == B.true_label, 1), else_=2)
    query = shared(select(A, B).where(*changed()), evaluation_a, evaluation_b).order_by(rank, A.seq).limit(limit)
    return [(a, b) for a, b in session.execute(query)]


def changed() -> tuple[ColumnElement[bool], ...]:
    return (A.true_label == B.true_label, A.predicted_label != B.predicted_label)
