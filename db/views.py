"""What a key sees: for a key that is bound to data sets or models, or may not `read`, everything else does not exist.

One filter on every query of such a key's requests, so that no route can forget it. Only SELECTs are filtered: rows are
found before they are changed. Queries that must see all rows say so with `EVERYTHING`.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from sqlalchemy import ColumnElement, event, or_, select, true
from sqlalchemy.orm import ORMExecuteState, Session, with_loader_criteria

from db.models import (
    Alias,
    AliasMove,
    Analysis,
    ApiKey,
    Base,
    Dataset,
    Evaluation,
    Finding,
    Image,
    Job,
    JobEvent,
    Model,
    Revision,
    Snapshot,
    Suggestion,
    Upload,
)
from tsukiji.scopes import may

EVERYTHING: Final[dict[str, Any]] = {"everything": True}
"""Execution options of a statement that no view narrows."""

# Aliased tables of their own: inside a filter, SQLAlchemy must neither filter again nor correlate with the query.
MODELS, JOBS, ALIASES = (table.__table__.alias(f"seen_{table.__tablename__}") for table in (Model, Job, Alias))


@dataclass(frozen=True)
class View:
    """The part of the service that a key sees.

    Attributes:
        key_id: the key; it always sees the jobs that it started.
        reads: whether it sees those of others.
        datasets: ids of the only data sets it sees; None: all.
        models: ids and aliases of models, which it sees beside those trained on `datasets`; None: all.
    """

    key_id: str
    reads: bool
    datasets: tuple[str, ...] | None
    models: tuple[str, ...] | None
    trained_on: tuple[str, ...]

    @property
    def bound(self) -> bool:
        """Whether the key is bound to data sets or models."""
        return self.models is not None

    @cached_property
    def options(self) -> list[Any]:
        """The filters, as options of a statement."""
        seen: dict[type[Base], ColumnElement[bool]] = {
            Job: self._jobs(Job),
            JobEvent: JobEvent.job_id.in_(select(JOBS.c.id).where(self._jobs(JOBS.c))),
            Upload: Upload.created_by == self.key_id,
        }
        if self.datasets is not None:
            seen[Dataset] = Dataset.id.in_(self.datasets)
            for table in (Image, Revision, Analysis, Finding, Suggestion, Snapshot):
                seen[table] = table.dataset_id.in_(self.datasets)
        if self.models is not None:
            seen[Model] = self._models(Model)
            seen[Alias] = self._of_seen_model(Alias.model_id)
            seen[AliasMove] = self._of_seen_model(AliasMove.model_id)
        seen[Evaluation] = self._of_seen_model(Evaluation.model_id) & self._of_seen_data(Evaluation)
        return [with_loader_criteria(table, where, include_aliases=True) for table, where in seen.items()]

    def _models(self, model: Any) -> ColumnElement[bool]:
        if self.models is None:
            return true()
        pointed_at = select(ALIASES.c.model_id).where(ALIASES.c.name.in_(self.models))
        return or_(model.id.in_(self.models), model.dataset_id.in_(self.trained_on), model.id.in_(pointed_at))

    def _of_seen_model(self, model_id: Any) -> ColumnElement[bool]:
        return true() if self.models is None else model_id.in_(select(MODELS.c.id).where(self._models(MODELS.c)))

    def _of_seen_data(self, evaluation: Any) -> ColumnElement[bool]:
        """Return whether an evaluation is of a data set that is seen, or of that which its model was trained on."""
        if self.datasets is None:
            return true()
        own = select(MODELS.c.dataset_id).where(MODELS.c.id == evaluation.model_id).scalar_subquery()
        mine = or_(evaluation.dataset_id.in_(self.datasets), evaluation.dataset_id == own)
        return or_(evaluation.dataset_id.is_(None), mine)

    def _jobs(self, job: Any) -> ColumnElement[bool]:
        own: ColumnElement[bool] = job.created_by == self.key_id
        if not self.reads:
            return own
        no_data = job.dataset_id.is_(None)
        data = true() if self.datasets is None else or_(no_data, job.dataset_id.in_(self.datasets))
        model = or_(job.model_id.is_(None), self._of_seen_model(job.model_id))
        of_something = or_(job.dataset_id.is_not(None), job.model_id.is_not(None))
        return or_(own, data & model & of_something)

    def narrow(self, session: Session) -> None:
        """Filter all that is read in the session from now on."""
        event.listen(session, "do_orm_execute", self._filter)

    def _filter(self, state: ORMExecuteState) -> None:
        everything = state.is_column_load or state.execution_options.get("everything")
        if state.is_select and state.is_orm_statement and not everything:
            state.statement = state.statement.options(*self.options)


def view_of_job(session: Session, job: Job) -> View | None:
    """Return what the key that started a job sees."""
    key = session.get(ApiKey, job.created_by) if job.created_by else None
    return view_of(key) if key else None


def view_of(key: ApiKey) -> View | None:
    """Return what the key sees; None: everything."""
    reads, bound = may(key.scopes, "read"), bool(key.datasets or key.models)
    if reads and not bound:
        return None
    datasets, models = tuple(key.datasets), tuple(key.models)
    return View(key.id, reads, datasets if reads else (), models if bound else None, datasets)
