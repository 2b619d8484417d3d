"""The Evaluate screen of a model: its figures, the pictures behind them, and its actions."""

from typing import Annotated, Any, Final, get_args
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api.http.access import needs
from api.page import figures
from api.page.compare import PRODUCTION, against_production, comparable, describe, own_evaluation
from api.page.drift import describe_drift
from api.page.screen import ScreenDep
from api.serialize import job_records, records
from db import aliases, registry
from db.curation import datasets
from db.jobs import exports, jobs
from db.models import Evaluation
from db.models import Model as ModelRow
from db.paging import Window
from db.session import Session
from tsukiji.errors import NotFound
from tsukiji.jobs import JobKind
from tsukiji.types import EvaluationItem, ExportFormat, Metrics
from tsukiji.types.trainings import PATCHES

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

MODELS: Final = 50
DATASETS: Final = 200
EVALUATIONS: Final = 20
PICTURES: Final = 48
KEYS: Final = 9
FEWER_KEYS: Final = 5
"""With more labels than this, buttons would leave no room for pictures."""
WORST: Final = 200
"""Images looked through for mistakes, highest loss first."""


@router.get("/datasets/{dataset}/evaluate")
@needs("read")
def show_newest(dataset: str, screen: ScreenDep) -> Response:
    """Redirect to the newest model of the data set, or explain how to get one."""
    with screen.services.database.reading() as session:
        row = datasets.find(session, dataset)
        newest = registry.page_models(session, Window(1), row.id).data
        if newest:
            return RedirectResponse(f"/models/{newest[0].id}", 303)
        running = jobs.active_of(session, JobKind.TRAINING, row.id)
        return screen.show(session, "no_model.html", current="evaluate", dataset=row, running=running)


@router.get("/models/{model}")
@needs("read")
def show_model(
    model: str,
    screen: ScreenDep,
    evaluation: str | None = None,
    job: str | None = None,
    true: str | None = None,
    predicted: str | None = None,
    sort: str = "recall",
    labels: str = "",
    after: Annotated[str | None, Query(description="Cursor of the pictures.")] = None,
) -> HTMLResponse:
    with screen.services.database.reading() as session:
        row = find_model(session, model)
        dataset = datasets.find(session, row.dataset_id) if row.dataset_id else None
        chosen = registry.find_evaluation(session, evaluation) if evaluation else own_evaluation(session, row.id)
        if chosen and chosen.model_id != row.id:
            raise NotFound("This evaluation is of another model.", hint="Choose one on the model's page.")
        asked = {"evaluation": evaluation, "job": job, "true": true, "predicted": predicted, "labels": labels}
        asked |= {"sort": sort if sort != "recall" else None}
        return screen.show(
            session,
            "model.html",
            current="evaluate",
            dataset=dataset,
            model=describe(session, row),
            at=Address(f"/models/{row.id}", asked),
            sort=sort,
            everything=labels == "all",
            shown=chosen and show_figures(session, row, chosen, sort, labels == "all"),
            pictures=chosen and list_pictures(session, chosen, true, predicted, after),
            others=[other for other in siblings(session, row) if other.id != row.id],
            running=jobs.active_of(session, JobKind.TRAINING, dataset.id) if dataset else None,
            comparable=bool(comparable(session, row)),
            production=in_production(session, row),
            exports=list_exports(session, row),
            drift=describe_drift(session, row),
            evaluations=list_evaluations(session, row.id),
            elsewhere=[each for each in datasets.page(session, Window(DATASETS)).data if each.kind == row.kind],
            job=job and show_job(session, job),
        )


class Address:
    """This screen's address with its current query; a call changes members, None removes one."""

    def __init__(self, path: str, asked: dict[str, str | None]) -> None:
        self.path, self.asked = path, asked

    def __call__(self, **changes: str | None) -> str:
        query = {name: value for name, value in (self.asked | changes).items() if value}
        return self.path + (f"?{urlencode(query)}" if query else "")


def find_model(session: Session, word: str) -> ModelRow:
    try:
        return registry.find_model(session, word)
    except NotFound as error:
        hint = "It may have been deleted meanwhile; the data set's other models are under Evaluate."
        raise NotFound(f"There is no model {word!r}.", hint=hint) from error


def show_figures(session: Session, model: ModelRow, row: Evaluation, sort: str, everything: bool) -> dict[str, Any]:
    found = records.evaluation(row, registry.leakages(session, [row.snapshot_id]).get(row.snapshot_id))
    metrics = found.metrics
    return {
        "evaluation": found,
        "metrics": metrics,
        "dataset": dataset_name(session, row.dataset_id),
        "against": against_production(session, model, row),
        "calibration": metrics.calibration and figures.describe_calibration(metrics.calibration),
        "reliability": metrics.calibration and figures.draw_reliability(metrics.calibration),
        "sweep": figures.draw_sweep(metrics),
        "promises": figures.describe_promises(metrics),
        "matrix": None if metrics.multi_label else figures.draw_matrix(metrics, everything=everything),
        "pairs": figures.confused_pairs(metrics),
        "rows": figures.label_rows(metrics, sort),
    }


def dataset_name(session: Session, dataset_id: str | None) -> str | None:
    return datasets.find(session, dataset_id).name if dataset_id else None


def list_pictures(
    session: Session, row: Evaluation, true: str | None, predicted: str | None, after: str | None
) -> dict[str, Any]:
    """Return the pictures of a cell, a row or a column, or of the worst mistakes: highest loss first."""
    several = bool(row.metrics.get("multi_label"))
    chosen = true is not None or predicted is not None
    window = Window(PICTURES if chosen else WORST, after, (row.id, true, predicted))
    page = registry.page_evaluation_items(session, row.id, window, true, predicted, worst_first=True, several=several)
    found = [item for item in page.data if chosen or item.true_label != item.predicted_label][:PICTURES]
    now = {image.id: image for image in datasets.images_of(session, [item.image_id for item in found if item.image_id])}
    items = [(records.evaluation_item(item), now.get(item.image_id or "")) for item in found]
    return {
        "chosen": chosen,
        "true": true,
        "predicted": predicted,
        "several": several,
        "items": [picture(item, image and records.image(image)) for item, image in items],
        "more": page.next_cursor if chosen else None,
        "labels": key_labels(Metrics.model_validate(row.metrics), true, predicted),
        "every": row.metrics["label_names"],
    }


def picture(item: EvaluationItem, image: Any) -> dict[str, Any]:
    """Return one tile; `moved`: its label has changed since the evaluation."""
    moved = image is not None and (image.labels or []) != item.true_labels
    return {
        "item": item,
        "image": image,
        "truth": ", ".join(item.true_labels) or "none of the labels",
        "answer": ", ".join(item.predicted_labels) or "none of the labels",
        "now": ", ".join(image.labels or []) or "no label" if moved else None,
    }


def key_labels(metrics: Metrics, true: str | None, predicted: str | None) -> list[str]:
    """Return the labels of the keys 1 to 9: the predicted label first, then other confused ones."""
    names = metrics.label_names
    row = metrics.confusion[names.index(true)] if true in names and metrics.confusion else [0] * len(names)
    order = sorted(range(len(names)), key=lambda index: (names[index] != predicted, -row[index], index))
    most = KEYS if len(names) <= KEYS else FEWER_KEYS
    return [names[index] for index in order if names[index] != true or metrics.multi_label][:most]


def siblings(session: Session, model: ModelRow) -> list[ModelRow]:
    """Return the newest models of the same data set; without a data set, the newest of all."""
    return registry.page_models(session, Window(MODELS), model.dataset_id).data


def in_production(session: Session, model: ModelRow) -> dict[str, Any]:
    """Return whether the model is in production, and whether another was before."""
    try:
        moves = aliases.page_moves(session, PRODUCTION, Window(MODELS)).data
    except NotFound:
        return {"is": False, "before": False}
    there = aliases.existing(session, {move.model_id for move in moves if move.model_id})
    is_there = PRODUCTION in registry.aliases_of(session, [model.id])[model.id]
    return {"is": is_there, "before": is_there and any(move.model_id in there - {model.id} for move in moves)}


def list_exports(session: Session, model: ModelRow) -> list[dict[str, Any]]:
    """Return each format with its state."""
    made = {row.format: records.export(row) for row in exports.exports_of(session, model.id)}
    found = []
    for name in get_args(ExportFormat):
        job = None if name in made else exports.find_job(session, model.id, name)
        refused = name == "fastai" and model.backbone in PATCHES
        found.append({"format": name, "made": made.get(name), "job": job, "refused": refused})
    return found


def list_evaluations(session: Session, model_id: str) -> list[tuple[Evaluation, str | None]]:
    rows = registry.page_evaluations(session, Window(EVALUATIONS), model_id).data
    return [(row, dataset_name(session, row.dataset_id)) for row in rows]


def show_job(session: Session, job_id: str) -> Any:
    """Return an evaluation's job that was started from this screen."""
    return job_records.job(jobs.find(session, job_id, JobKind.EVALUATION))
