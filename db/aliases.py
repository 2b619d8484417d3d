"""Aliases: names that point to models, with their history."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from db import webhooks
from db.blobs import upsert
from db.clock import now
from db.models import Alias, AliasMove, Model
from db.paging import Rows, Window, fetch
from tsukiji.errors import Conflict, NotFound


def put(session: Session, name: str, model_id: str, by: str | None = None) -> Alias:
    """Point an alias of the model's project to it; `by` is the id of a key. A move that changes nothing is not
    recorded.
    """
    project = session.get_one(Model, model_id).project_id
    insert_alias = upsert(session, Alias).values(project_id=project, name=name, model_id=model_id, updated_at=now())
    moved = {"model_id": model_id, "updated_at": now()}
    # Locks the alias's row, so that the second of two concurrent moves sees the first one's history.
    session.execute(insert_alias.on_conflict_do_update(index_elements=[Alias.project_id, Alias.name], set_=moved))
    mine = (AliasMove.project_id == project, AliasMove.name == name)
    newest = session.scalar(select(AliasMove).where(*mine).order_by(AliasMove.id.desc()).limit(1))
    if newest is None or newest.model_id != model_id:
        session.add(AliasMove(project_id=project, name=name, model_id=model_id, moved_by=by))
        session.flush()
        webhooks.emit(session, project, "model.promoted", lambda: describe(session, name, model_id, newest, by))
    return find(session, name)


def promise(session: Session, name: str, target_error: float | None, confidence: float) -> Alias:
    """Set the target of batches and predictions that name the alias and no threshold of their own.

    Raises:
        NotFound
    """
    alias = find(session, name)
    alias.target_error, alias.confidence = target_error, confidence
    session.flush()
    return find(session, name)


def named(session: Session, word: str) -> Alias | None:
    """Return the alias that a model is named by, if it is."""
    if session.get(Model, word) is not None:
        return None
    return session.scalar(select(Alias).where(Alias.name == word))


def describe(session: Session, name: str, model_id: str, before: AliasMove | None, by: str | None) -> dict[str, Any]:
    """Return what webhooks are told of a move."""
    return {
        "alias": name,
        "model_id": model_id,
        "model_name": session.get_one(Model, model_id).name,
        "previous_model_id": before and before.model_id,
        "moved_by": by,
        "links": {"self": f"/v1/aliases/{name}", "model": f"/v1/models/{model_id}"},
    }


def roll_back(session: Session, name: str, by: str | None = None) -> Alias:
    """Point an alias back to its previous model; a second roll-back restores the first.

    Raises:
        NotFound: there is no such alias.
        Conflict: it never pointed to another model, or that one was deleted.
    """
    current = find(session, name).model_id
    others = (AliasMove.name == name, AliasMove.model_id.is_not(None), AliasMove.model_id != current)
    before = session.scalar(select(AliasMove.model_id).where(*others).order_by(AliasMove.id.desc()).limit(1))
    if before is None:
        raise Conflict(f"The alias {name!r} has no previous model.", hint="Point it to a model by name or id.")
    if session.get(Model, before) is None:
        hint = "GET /v1/aliases/{name}/history lists earlier models; point it to one of those."
        raise Conflict(f"The model {before!r} that {name!r} pointed to before was deleted.", hint=hint)
    return put(session, name, before, by)


def find(session: Session, name: str) -> Alias:
    """Return the alias of this name.

    Raises:
        NotFound
    """
    alias = session.scalar(select(Alias).where(Alias.name == name).execution_options(populate_existing=True))
    if alias is None:
        raise NotFound(f"There is no alias {name!r}.")
    return alias


def page(session: Session, window: Window) -> Rows[Alias]:
    return fetch(session, select(Alias), Alias.name, window)


def page_moves(session: Session, name: str, window: Window) -> Rows[AliasMove]:
    """Return an alias's history, newest first; it remains after the alias is deleted.

    Raises:
        NotFound: there never was an alias of this name.
    """
    query = select(AliasMove).where(AliasMove.name == name)
    if session.scalar(query.limit(1)) is None:
        raise NotFound(f"There is no alias {name!r}.")
    return fetch(session, query, AliasMove.id, window, newest=True)


def existing(session: Session, model_ids: set[str]) -> set[str]:
    """Return the ids that still exist."""
    return set(session.scalars(select(Model.id).where(Model.id.in_(model_ids))))


def remove(session: Session, name: str, by: str | None = None) -> None:
    alias = find(session, name)
    session.delete(alias)
    session.add(AliasMove(project_id=alias.project_id, name=name, model_id=None, moved_by=by))
    session.flush()
