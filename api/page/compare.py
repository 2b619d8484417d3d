"""Comparison of two models on the same pictures: a screen, and a line for new models."""

from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from starlette.responses import HTMLResponse

from api.http.access import needs
from api.page.screen import ScreenDep
from api.serialize import evaluation_comparison, records
from db import registry
from db.curation import datasets
from db.models import Evaluation, Job
from db.models import Model as ModelRow
from db.paging import Window
from db.session import Session
from tsukiji.errors import KindMismatch, NoSharedImages, NotFound
from tsukiji.types import Comparison, Model

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

PRODUCTION: Final = "production"
"""The alias whose model a new one is compared with."""
EVALUATIONS: Final = 50
MODELS: Final = 100


@dataclass(frozen=True)
class Against:
    """A comparison of a model with another.

    Attributes:
        model: the other one.
        comparison: differences are this one minus the other; None if they cannot be compared.
        why: the reason for that.
    """

    model: Model
    comparison: Comparison | None = None
    why: str = ""


@router.get("/models/{model}/compare")
@needs("read")
def show_comparison(model: str, screen: ScreenDep, other: Annotated[str | None, Query(alias="with")] = None) -> Any:
    with screen.services.database.reading() as session:
        row = registry.find_model(session, model)
        found = against(session, row, own_evaluation(session, row.id), other) if other else None
        return screen.show(
            session,
            "compare.html",
            current="evaluate",
            dataset=datasets.find(session, row.dataset_id) if row.dataset_id else None,
            model=describe(session, row),
            against=found,
            others=comparable(session, row),
        )


def describe(session: Session, row: ModelRow) -> Model:
    """Return a model as `/v1` gives it."""
    own = registry.own_evaluations(session, [row.id]).get(row.id)
    return records.model(row, registry.aliases_of(session, [row.id])[row.id], own)


def comparable(session: Session, model: ModelRow) -> list[ModelRow]:
    """Return the newest other models that know a label of this one's."""
    rows = registry.page_models(session, Window(MODELS)).data
    return [
        row
        for row in rows
        if row.id != model.id and row.kind == model.kind and not set(row.label_names).isdisjoint(model.label_names)
    ]


def made_by(session: Session, job: Job) -> dict[str, Any] | None:
    """Return the model of a training, with its figures and its comparison; None before the end.

    `model` is None if it was deleted.
    """
    model_id = (job.result or {}).get("model_id")
    if not model_id:
        return None
    try:
        row = registry.find_model(session, model_id)
    except NotFound:
        return {"model": None}
    own = own_evaluation(session, row.id)
    return {
        "model": describe(session, row),
        "evaluation": own and records.listed_evaluation(own),
        "against": against_production(session, row, own),
        "suspects": (job.result or {}).get("suspected_labels", 0),
    }


def own_evaluation(session: Session, model_id: str) -> Evaluation | None:
    """Return a model's first evaluation; if it was trained here, that on its held-out pictures."""
    found = registry.own_evaluations(session, [model_id]).get(model_id)
    return registry.find_evaluation(session, found) if found else None


def against_production(session: Session, model: ModelRow, evaluation: Evaluation | None) -> Against | None:
    """Compare a model with the one in production; None if there is none, or it is this one.

    Models with other labels are not compared.
    """
    try:
        other = registry.find_model(session, PRODUCTION)
    except NotFound:
        return None
    if other.id == model.id or set(other.label_names) != set(model.label_names):
        return None
    return against(session, model, evaluation, other.id)


def against(session: Session, model: ModelRow, evaluation: Evaluation | None, other: str) -> Against:
    """Compare an evaluation of a model with the other model's on the same pictures.

    Raises:
        NotFound: the other model does not exist.
    """
    answer = describe(session, registry.find_model(session, other))
    if answer.id == model.id:
        return Against(answer, why="This is the same model.")
    theirs = counterpart(session, evaluation, answer.id) if evaluation else None
    if evaluation is None or theirs is None:
        lacking = model.name if evaluation is None else answer.name
        return Against(answer, why=f"{lacking} has no evaluation yet; evaluate it on labelled pictures first.")
    try:
        return Against(answer, evaluation_comparison.compare(session, theirs.id, evaluation.id))
    except (NoSharedImages, KindMismatch) as error:
        return Against(answer, why=error.detail)


def counterpart(session: Session, evaluation: Evaluation, model_id: str) -> Evaluation | None:
    """Return the other model's evaluation to compare with: of the same data set and split if there is one."""
    rows = registry.page_evaluations(session, Window(EVALUATIONS), model_id).data
    same = (row for row in rows if (row.dataset_id, row.split) == (evaluation.dataset_id, evaluation.split))
    return next(same, None) or own_evaluation(session, model_id)
