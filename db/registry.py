"""Models and their files, snapshots, evaluations. Aliases are in `db.aliases`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Select, delete, insert, or_, select
from sqlalchemy.orm import Session

from db import audit
from db.blobs import keep
from db.labels import holds
from db.models import Alias, Evaluation, EvaluationItem, LabelSuspect, Model, ModelFile, Snapshot
from db.paging import Rows, Window, fetch
from tsukiji.errors import Conflict, NotFound
from tsukiji.ids import new_id
from tsukiji.types import Metrics


def add_snapshot(
    session: Session, dataset_id: str, sha256: str, size: int, images: int, leakage: dict[str, Any] | None = None
) -> Snapshot:
    """Insert a snapshot; its list must be in the store."""
    keep(session, [(sha256, size)], made=True)
    facts = {"dataset_id": dataset_id, "sha256": sha256, "images": images, "leakage": leakage}
    snapshot = Snapshot(id=new_id("snp"), **facts)
    session.add(snapshot)
    session.flush()
    audit.about(session, snapshot.id)
    return snapshot


def find_snapshot(session: Session, snapshot_id: str) -> Snapshot:
    """Return the snapshot.

    Raises:
        NotFound
    """
    snapshot = session.get(Snapshot, snapshot_id)
    if snapshot is None:
        raise NotFound(f"There is no snapshot {snapshot_id!r}.")
    return snapshot


def find_frozen(session: Session, dataset_id: str, sha256: str) -> Snapshot | None:
    """Return the oldest snapshot of a data set with this list."""
    query = select(Snapshot).where(Snapshot.dataset_id == dataset_id, Snapshot.sha256 == sha256)
    return session.scalar(query.order_by(Snapshot.id).limit(1))


def page_snapshots(session: Session, dataset_id: str, window: Window) -> Rows[Snapshot]:
    """Newest first."""
    query = select(Snapshot).where(Snapshot.dataset_id == dataset_id)
    return fetch(session, query, Snapshot.id, window, newest=True)


def leakages(session: Session, snapshot_ids: Iterable[str | None]) -> dict[str | None, dict[str, Any] | None]:
    """Return each snapshot's leakage report, by its id."""
    wanted = {snapshot_id for snapshot_id in snapshot_ids if snapshot_id}
    query = select(Snapshot.id, Snapshot.leakage).where(Snapshot.id.in_(wanted))
    return {row.id: row.leakage for row in session.execute(query)}


def add_model(session: Session, model: Model, files: Mapping[str, tuple[str, int]]) -> None:
    """Insert a model with its package's files, name -> (sha256, bytes), which must be in the store."""
    keep(session, files.values(), made=model.training_id is not None)
    session.add(model)
    session.flush()
    rows = [{"model_id": model.id, "name": name, "sha256": sha, "bytes": size} for name, (sha, size) in files.items()]
    session.execute(insert(ModelFile), rows)


def find_model(session: Session, word: str) -> Model:
    """Return the model with this id, else this alias, else the newest of this name.

    Raises:
        NotFound
    """
    model = session.get(Model, word)
    if model is None:
        model = session.scalar(select(Model).join(Alias, Alias.model_id == Model.id).where(Alias.name == word))
    if model is None:
        model = session.scalar(select(Model).where(Model.name == word).order_by(Model.id.desc()).limit(1))
    if model is None:
        raise NotFound(f"There is no model {word!r}.", hint="GET /v1/models lists ids, names and aliases.")
    return model


def page_models(session: Session, window: Window, dataset_id: str | None = None) -> Rows[Model]:
    """Newest first; those that were trained on one data set, or all."""
    query = select(Model) if dataset_id is None else select(Model).where(Model.dataset_id == dataset_id)
    return fetch(session, query, Model.id, window, newest=True)


def model_files(session: Session, model_id: str) -> list[ModelFile]:
    return list(session.scalars(select(ModelFile).where(ModelFile.model_id == model_id).order_by(ModelFile.name)))


def names(session: Session, model_ids: Iterable[str]) -> dict[str, str]:
    """Return the names of those of these models that exist."""
    rows = session.execute(select(Model.id, Model.name).where(Model.id.in_(sorted(model_ids))))
    return {row.id: row.name for row in rows}


def remove_model(session: Session, model_id: str) -> None:
    """Delete a model and its evaluations.

    Raises:
        Conflict: an alias points to it.
    """
    names = aliases_of(session, [model_id])[model_id]
    if names:
        raise Conflict(
            f"The alias {names[0]!r} points to this model.", hint="Point it to another model or delete it first."
        )
    session.execute(delete(Model).where(Model.id == model_id))


def aliases_of(session: Session, model_ids: Sequence[str]) -> dict[str, list[str]]:
    """Return the alias names of each model."""
    names: dict[str, list[str]] = {model_id: [] for model_id in model_ids}
    for alias in session.scalars(select(Alias).where(Alias.model_id.in_(model_ids)).order_by(Alias.name)):
        names[alias.model_id].append(alias.name)
    return names


def add_evaluation(session: Session, evaluation: Evaluation, items: Sequence[dict[str, Any]]) -> None:
    """Insert an evaluation with its items (seq, image_id, name, sha256, true_label, predicted_label, ...)."""
    session.add(evaluation)
    session.flush()
    rows = [{"evaluation_id": evaluation.id, **item} for item in items]
    if rows:
        session.execute(insert(EvaluationItem), rows)


def add_suspects(session: Session, model_id: str, rows: Sequence[dict[str, Any]]) -> None:
    """Insert the images whose labels a model's training found suspicious."""
    if rows:
        session.execute(insert(LabelSuspect), [{"model_id": model_id, **row} for row in rows])


def page_suspects(session: Session, model_id: str, window: Window) -> Rows[LabelSuspect]:
    """Most suspicious first."""
    return fetch(session, select(LabelSuspect).where(LabelSuspect.model_id == model_id), LabelSuspect.rank, window)


def find_evaluation(session: Session, evaluation_id: str) -> Evaluation:
    """Return the evaluation.

    Raises:
        NotFound
    """
    evaluation = session.get(Evaluation, evaluation_id)
    if evaluation is None:
        raise NotFound(f"There is no evaluation {evaluation_id!r}.")
    return evaluation


def selective_metrics(session: Session, model_id: str) -> Metrics | None:
    """Return the metrics that guarantees for a model rest on: those of its evaluation on most images that it has not
    learnt from. None if all are by earlier versions.
    """
    query = select(Evaluation.metrics).where(Evaluation.model_id == model_id).order_by(Evaluation.id)
    found = [Metrics.model_validate(metrics) for metrics in session.scalars(query) if metrics.get("selective")]
    return max(found, key=lambda metrics: metrics.selective.images if metrics.selective else 0, default=None)


def page_evaluations(session: Session, window: Window, model_id: str | None = None) -> Rows[Evaluation]:
    query = select(Evaluation)
    if model_id is not None:
        query = query.where(Evaluation.model_id == model_id)
    return fetch(session, query, Evaluation.id, window, newest=True)


def own_evaluations(session: Session, model_ids: Sequence[str]) -> dict[str, str]:
    """Return the id of each model's first evaluation: by its training, if trained here."""
    query = select(Evaluation.model_id, Evaluation.id).where(Evaluation.model_id.in_(model_ids))
    return {row.model_id: row.id for row in session.execute(query.order_by(Evaluation.id.desc()))}


def held_out(session: Session, model_id: str, most: int) -> list[str]:
    """Return hashes of images held out by the model's training, an even selection if there are more."""
    return [sha256 for sha256, _ in held_out_labelled(session, model_id, most)]


def held_out_labelled(session: Session, model_id: str, most: int) -> list[tuple[str, str]]:
    """Return the same, each with its label's text."""
    own = own_evaluations(session, [model_id]).get(model_id)
    query = select(EvaluationItem.sha256, EvaluationItem.true_label)
    query = query.where(EvaluationItem.evaluation_id == own).order_by(EvaluationItem.seq)
    found = [(sha256, label) for sha256, label in session.execute(query)]
    return found[:: -(-len(found) // most) or 1]


def snapshot_of(session: Session, model_id: str) -> str | None:
    """Return the hash of the snapshot that the model was trained on; None if trained elsewhere."""
    query = select(Snapshot.sha256).join(Model, Model.snapshot_id == Snapshot.id).where(Model.id == model_id)
    return session.scalar(query)


def parity(session: Session, model_id: str) -> dict[str, Any]:
    """Return the model's results in lower precisions, by name; empty if the model is gone."""
    model = session.get(Model, model_id)
    return dict(model.parity) if model else {}


def set_parity(session: Session, model_id: str, name: str, found: Mapping[str, Any]) -> None:
    if model := session.get(Model, model_id, with_for_update=True):
        model.parity = model.parity | {name: dict(found)}


def page_evaluation_items(
    session: Session,
    evaluation_id: str,
    window: Window,
    true: str | None = None,
    predicted: str | None = None,
    *,
    worst_first: bool = False,
    several: bool = False,
) -> Rows[EvaluationItem]:
    """Return the images of a cell, row or column of the confusion matrix, or all; by `seq`, or by loss.

    `several`: images have several labels, and those that include the label are returned.
    """
    query = select(EvaluationItem).where(EvaluationItem.evaluation_id == evaluation_id)
    for column, label in ((EvaluationItem.true_label, true), (EvaluationItem.predicted_label, predicted)):
        if label is not None:
            query = query.where(holds(column, label) if several else column == label)
    return by_loss(session, query, window) if worst_first else fetch(session, query, EvaluationItem.seq, window)


def by_loss(session: Session, query: Select[EvaluationItem], window: Window) -> Rows[EvaluationItem]:
    """Return one page, highest loss first, then by `seq`."""
    if after := window.after(float, int):
        loss, seq = after
        lower, equal = EvaluationItem.loss < loss, EvaluationItem.loss == loss
        query = query.where(or_(lower, equal & (EvaluationItem.seq > seq)))
    order = (EvaluationItem.loss.desc(), EvaluationItem.seq)
    rows = list(session.scalars(query.order_by(*order).limit(window.limit + 1)))
    more = len(rows) > window.limit
    rows = rows[: window.limit]
    return Rows(rows, window.cursor_after([rows[-1].loss, rows[-1].seq]) if more else None)
