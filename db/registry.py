"""Models, their files, aliases, snapshots and evaluations."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from db.blobs import keep, upsert
from db.clock import now
from db.models import Alias, Evaluation, EvaluationItem, Model, ModelFile, Snapshot
from db.pages import Rows, Window, fetch
from tsukiji.errors import Conflict, NotFound
from tsukiji.ids import new_id


def add_snapshot(session: Session, dataset_id: str, sha256: str, size: int, images: int) -> Snapshot:
    """Insert a snapshot; its list is a blob already in the store."""
    keep(session, [(sha256, size)])
    snapshot = Snapshot(id=new_id("snp"), dataset_id=dataset_id, sha256=sha256, images=images)
    session.add(snapshot)
    session.flush()
    return snapshot


def find_snapshot(session: Session, snapshot_id: str) -> Snapshot:
    """Return the snapshot.

    Raises:
        NotFound: there is none of this id.
    """
    snapshot = session.get(Snapshot, snapshot_id)
    if snapshot is None:
        raise NotFound(f"There is no snapshot {snapshot_id!r}.")
    return snapshot


def add_model(session: Session, model: Model, files: Mapping[str, tuple[str, int]]) -> None:
    """Insert a model with its package's files: name -> (sha256, bytes), blobs already in the store."""
    keep(session, files.values())
    session.add(model)
    session.flush()
    rows = [{"model_id": model.id, "name": name, "sha256": sha, "bytes": size} for name, (sha, size) in files.items()]
    session.execute(insert(ModelFile), rows)


def find_model(session: Session, word: str) -> Model:
    """Return the model that is meant: by id, else by alias, else the newest of this name.

    Raises:
        NotFound: there is none.
    """
    model = session.get(Model, word)
    if model is None and (alias := session.get(Alias, word)):
        model = session.get(Model, alias.model_id)
    if model is None:
        model = session.scalar(select(Model).where(Model.name == word).order_by(Model.id.desc()).limit(1))
    if model is None:
        raise NotFound(f"There is no model {word!r}.", hint="GET /v1/models lists ids, names and aliases.")
    return model


def page_models(session: Session, window: Window) -> Rows[Model]:
    return fetch(session, select(Model), Model.id, window, newest=True)


def model_files(session: Session, model_id: str) -> list[ModelFile]:
    return list(session.scalars(select(ModelFile).where(ModelFile.model_id == model_id).order_by(ModelFile.name)))


def remove_model(session: Session, model_id: str) -> None:
    """Delete a model and its evaluations.

    Raises:
        Conflict: an alias points to it.
    """
    names = aliases_of(session, [model_id])[model_id]
    if names:
        raise Conflict(f"The alias {names[0]!r} points to this model.", hint="Point it elsewhere or delete it first.")
    session.execute(delete(Model).where(Model.id == model_id))


def aliases_of(session: Session, model_ids: Sequence[str]) -> dict[str, list[str]]:
    """Return the alias names of each model."""
    names: dict[str, list[str]] = {model_id: [] for model_id in model_ids}
    for alias in session.scalars(select(Alias).where(Alias.model_id.in_(model_ids)).order_by(Alias.name)):
        names[alias.model_id].append(alias.name)
    return names


def put_alias(session: Session, name: str, model_id: str) -> Alias:
    """Point an alias to a model, newly or anew."""
    insert_alias = upsert(session, Alias).values(name=name, model_id=model_id, updated_at=now())
    moved = {"model_id": model_id, "updated_at": now()}
    session.execute(insert_alias.on_conflict_do_update(index_elements=[Alias.name], set_=moved))
    return find_alias(session, name)


def find_alias(session: Session, name: str) -> Alias:
    """Return the alias.

    Raises:
        NotFound: there is none of this name.
    """
    alias = session.get(Alias, name, populate_existing=True)
    if alias is None:
        raise NotFound(f"There is no alias {name!r}.")
    return alias


def page_aliases(session: Session, window: Window) -> Rows[Alias]:
    return fetch(session, select(Alias), Alias.name, window)


def remove_alias(session: Session, name: str) -> None:
    session.delete(find_alias(session, name))


def add_evaluation(session: Session, evaluation: Evaluation, items: Sequence[dict[str, Any]]) -> None:
    """Insert an evaluation with its items (seq, image_id, name, sha256, true_label, predicted_label, ...)."""
    session.add(evaluation)
    session.flush()
    rows = [{"evaluation_id": evaluation.id, **item} for item in items]
    if rows:
        session.execute(insert(EvaluationItem), rows)


def find_evaluation(session: Session, evaluation_id: str) -> Evaluation:
    """Return the evaluation.

    Raises:
        NotFound: there is none of this id.
    """
    evaluation = session.get(Evaluation, evaluation_id)
    if evaluation is None:
        raise NotFound(f"There is no evaluation {evaluation_id!r}.")
    return evaluation


def page_evaluations(session: Session, window: Window, model_id: str | None = None) -> Rows[Evaluation]:
    query = select(Evaluation)
    if model_id is not None:
        query = query.where(Evaluation.model_id == model_id)
    return fetch(session, query, Evaluation.id, window, newest=True)


def latest_evaluations(session: Session, model_ids: Sequence[str]) -> dict[str, str]:
    """Return the id of each model's newest evaluation."""
    query = select(Evaluation.model_id, Evaluation.id).where(Evaluation.model_id.in_(model_ids)).order_by(Evaluation.id)
    return {row.model_id: row.id for row in session.execute(query)}


def page_evaluation_items(
    session: Session, evaluation_id: str, window: Window, true: str | None = None, predicted: str | None = None
) -> Rows[EvaluationItem]:
    """Return the images behind a cell, a row or a column of the confusion matrix, or all."""
    query = select(EvaluationItem).where(EvaluationItem.evaluation_id == evaluation_id)
    if true is not None:
        query = query.where(EvaluationItem.true_label == true)
    if predicted is not None:
        query = query.where(EvaluationItem.predicted_label == predicted)
    return fetch(session, query, EvaluationItem.seq, window)
