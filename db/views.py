"""What a key sees: of other projects nothing and, if it is bound to data sets or models or may not `read`, only that.

One filter on every query of such a key's requests, so that no route can forget it. Only SELECTs are filtered: rows are
found before they are changed. Queries that must see all rows say so with `EVERYTHING`. While there is one project only,
a key that reads everything has no filter.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import ColumnElement, event, or_, select, true
from sqlalchemy.orm import ORMExecuteState, Session, with_loader_criteria

from db.models import (
    DEFAULT_PROJECT,
    OTHERS,
    Alias,
    AliasMove,
    ApiKey,
    AuditEntry,
    Dataset,
    Evaluation,
    Invitation,
    Job,
    JobEvent,
    Model,
    OfDataset,
    Owned,
    Project,
    Snapshot,
    Upload,
    Webhook,
    WebhookDelivery,
)
from tsukiji.scopes import may

EVERYTHING: Final[dict[str, Any]] = {"everything": True}
"""Execution options of a statement that no view narrows."""

# Aliased tables of their own: inside a filter, SQLAlchemy must neither filter again nor correlate with the query.
MODELS, JOBS, ALIASES, DATASETS, WEBHOOKS = (
    table.__table__.alias(f"seen_{table.__tablename__}") for table in (Model, Job, Alias, Dataset, Webhook)
)
Criterion = tuple[type[Any], ColumnElement[bool] | Callable[[Any], ColumnElement[bool]]]
"""A table, or what several inherit from, and its condition. Each is a part of the cost of every statement."""


@dataclass(frozen=True)
class View:
    """The part of the service that a key sees.

    Attributes:
        key_id: the key; it always sees the jobs that it started.
        reads: whether it sees those of others.
        datasets: ids of the only data sets it sees; None: all.
        models: ids and aliases of models, which it sees beside those trained on `datasets`; None: all.
        project: the only project that it sees; None: there is no other.
        administers: whether it sees all projects, with their keys and audit log.
    """

    key_id: str | None = None
    reads: bool = True
    datasets: tuple[str, ...] | None = None
    models: tuple[str, ...] | None = None
    trained_on: tuple[str, ...] = ()
    project: str | None = None
    administers: bool = False

    @property
    def bound(self) -> bool:
        """Whether the key is bound to data sets or models."""
        return self.models is not None

    def criteria(self) -> Iterator[Criterion]:
        """Yield what is filtered, by which condition; a table may come more than once."""
        if self.project is not None:
            yield from self._of_project(self.project)
        if self.bound or not self.reads:
            yield from self._of_key()

    def _of_project(self, project: str) -> Iterator[Criterion]:
        ours = select(DATASETS.c.id).where(DATASETS.c.project_id == project)
        yield Owned, lambda table: table.project_id == project
        yield OfDataset, lambda table: table.dataset_id.in_(ours)
        yield Evaluation, Evaluation.model_id.in_(select(MODELS.c.id).where(MODELS.c.project_id == project))
        its_job = select(JOBS.c.id).where(JOBS.c.id == JobEvent.job_id, JOBS.c.project_id == project)
        yield JobEvent, its_job.correlate(JobEvent).exists()
        hooks = select(WEBHOOKS.c.id).where(WEBHOOKS.c.project_id == project)
        yield WebhookDelivery, WebhookDelivery.webhook_id.in_(hooks)
        if not self.administers:
            yield Project, Project.id == project
            yield ApiKey, ApiKey.project_id == project
            yield Invitation, Invitation.project_id == project
            yield AuditEntry, AuditEntry.project_id == project

    def _of_key(self) -> Iterator[Criterion]:
        yield Job, self._jobs(Job)
        yield JobEvent, JobEvent.job_id.in_(select(JOBS.c.id).where(self._jobs(JOBS.c)))
        yield Upload, Upload.created_by == self.key_id
        if self.datasets is not None:
            mine = list(self.datasets)
            yield Dataset, Dataset.id.in_(mine)
            yield Snapshot, Snapshot.dataset_id.in_(mine)
            yield OfDataset, lambda table: table.dataset_id.in_(mine)
        if self.models is not None:
            yield Model, self._models(Model)
            yield Alias, self._of_seen_model(Alias.model_id)
            yield AliasMove, self._of_seen_model(AliasMove.model_id)
        yield Evaluation, self._of_seen_model(Evaluation.model_id) & self._of_seen_data(Evaluation)

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
            state.statement = state.statement.options(*options_of(self))


@lru_cache(maxsize=256)
def options_of(view: View) -> list[Any]:
    """Return the filters of a view, as options of a statement."""
    return [with_loader_criteria(table, where, include_aliases=True) for table, where in view.criteria()]


def view_of_job(session: Session, job: Job) -> View | None:
    """Return what the key that started a job sees; without the key, what its project sees."""
    key = session.get(ApiKey, job.created_by) if job.created_by else None
    return view_of(key) if key else view_of_project(session, job.project_id)


def view_of_project(session: Session, project_id: str) -> View | None:
    """Return what is in a project; None: everything, as there is no other."""
    several = session.scalar(select(OTHERS.c.id).where(OTHERS.c.id != DEFAULT_PROJECT).limit(1))
    return View(project=project_id) if several else None


def view_of(key: ApiKey) -> View | None:
    """Return what the key sees; None: everything."""
    reads, bound = may(key.scopes, "read"), bool(key.datasets or key.models)
    project = key.project_id if key.several else None
    if reads and not bound and project is None:
        return None
    datasets, models = tuple(key.datasets), tuple(key.models)
    return View(
        key.id if bound or not reads else None,
        reads,
        (datasets if reads else ()) if bound or not reads else None,
        models if bound else None,
        datasets,
        project,
        administers_service(key),
    )


def administers_service(key: ApiKey) -> bool:
    """Whether a key administers the whole service: those of the default project that may `admin` do."""
    return key.project_id == DEFAULT_PROJECT and may(key.scopes, "admin")
