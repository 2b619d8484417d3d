"""The Train screens: the form with early warnings, and a training while it runs and afterwards."""

from collections.abc import Sequence
from typing import Any, Final, get_args

from fastapi import APIRouter
from fastapi.exceptions import RequestValidationError
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api.http.access import needs
from api.http.errors import recognise, status_of, validated
from api.http.idempotency import Once
from api.page import compare, counts
from api.page.charts import Line, line_chart
from api.page.forms import Fields
from api.page.rendering import percent
from api.page.screen import Screen, ScreenDep
from api.serialize import job_records
from api.submit import endings
from api.submit.backbones import choose
from api.submit.trainings import start_training
from db.curation import datasets
from db.jobs import jobs, workers
from db.jobs.requests import TrainingRequest
from db.models import Dataset, Job
from db.paging import Window
from db.session import Session
from tsukiji.curation.preflight import check_counts
from tsukiji.errors import DatasetTooSmall, TsukijiError
from tsukiji.jobs import PRESENT_SECONDS, JobKind, Queue
from tsukiji.types import EpochMetrics, Recipe, TrainingCreate
from tsukiji.types.trainings import AUTO, WEIGHTS_OF, Backbone
from tsukiji.vision.backbones import backbone_of, file_stem

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

LISTED: Final = 30
OTHERS: Final = 200
LINES: Final = 200
PRESETS: Final = {
    "quick": "Seconds to a minute. A linear classifier on features that are computed once and kept: right while labels "
    "still change.",
    "standard": "Minutes. A new head on a frozen network, with pictures mirrored, turned and zoomed a little.",
    "thorough": "The longest, and mostly the most accurate. The whole network is trained, at a learning rate that is "
    "searched; best with a GPU.",
}
WORTH_A_LOOK: Final = {
    "leaky_splits": "The same picture in training and held out, which makes the accuracy too good",
    "conflicting_labels": "The same picture under two labels",
    "suspected_label": "Labels that may be wrong",
    "exact_duplicates": "Duplicates",
    "near_duplicates": "Near-duplicates",
    "outlier": "Pictures unlike the others",
}
PHASES: Final = {
    "waiting": "waiting for a worker",
    "freezing": "noting which pictures are learnt from",
    "loading": "loading pictures",
    "exporting": "writing the model",
    "evaluating": "measuring it on held-out pictures",
}


@router.get("/datasets/{dataset}/train")
@needs("read")
def show_form(dataset: str, screen: ScreenDep) -> HTMLResponse:
    with screen.services.database.reading() as session:
        return show_train(screen, session, datasets.find(session, dataset))


@router.post("/datasets/{dataset}/train")
@needs("train", act="create_training")
def start(dataset: str, screen: ScreenDep, fields: Fields) -> Response:
    """Start a training, or show the form again with its errors."""
    with screen.services.database.reading() as session:
        row = datasets.find(session, dataset)
    try:
        made = start_training(screen.services, screen.visitor, Once(None), read_training(row.id, fields))
    except (TsukijiError, RequestValidationError) as error:
        with screen.services.database.reading() as session:
            return show_train(screen, session, row, fields, recognise(error))
    return RedirectResponse(f"/trainings/{made.id}", 303)


def read_training(dataset_id: str, fields: dict[str, str]) -> TrainingCreate:
    """Return the request of the form; an empty field has its default.

    Raises:
        RequestValidationError: a value is not allowed.
    """
    recipe = {"backbone": AUTO} | {name: fields[name] for name in Recipe.model_fields if name in fields}
    further = {name: fields[name] for name in ("name", "unknown", "resplit") if name in fields}
    return validated(TrainingCreate, {"dataset": dataset_id, "recipe": recipe, **further}, "body")


def show_train(
    screen: Screen,
    session: Session,
    dataset: Dataset,
    fields: dict[str, str] | None = None,
    problem: TsukijiError | None = None,
) -> HTMLResponse:
    rows = jobs.page(session, Window(LISTED), JobKind.TRAINING, dataset_id=dataset.id).data
    wrong = {line.get("pointer", "").rpartition("/")[2] for line in problem.extra.get("errors", [])} if problem else ()
    return screen.show(
        session,
        "train.html",
        current="train",
        dataset=dataset,
        status=status_of(type(problem)) if problem else 200,
        values={"preset": last_preset(session, dataset)} | (fields or {}),
        problem=problem,
        wrong=wrong,
        presets=PRESETS,
        before=before_start(screen, session, dataset),
        backbones=list_backbones(session),
        weights=WEIGHTS_OF,
        others=[row for row in datasets.page(session, Window(OTHERS)).data if row.id != dataset.id],
        trainings=[job_records.job(row) for row in rows],
    )


def before_start(screen: Screen, session: Session, dataset: Dataset) -> dict[str, Any]:
    """Return what is known before the start: why it cannot, and warnings."""
    refusal, warnings = None, []
    labelled = datasets.count_labelled(session, dataset.id)
    try:
        warnings = check_counts(labelled, screen.services.settings.limits.class_min_images, dataset.name)
    except DatasetTooSmall as error:
        refusal = error
    found = counts.of_findings(session, dataset.id)
    everything = counts.of_images(session, dataset.id).labels
    return {
        "refusal": refusal,
        "warnings": warnings,
        "labelled": sum(images for *_, images in labelled),
        "images": sum(images for _, images in everything),
        "unlabelled": dict(everything).get(None, 0),
        "findings": [(kind, text, found[kind]) for kind, text in WORTH_A_LOOK.items() if found.get(kind)],
    }


def at_once(screen: Screen, session: Session, dataset: Dataset) -> str | None:
    """Return the preset of a training that may start without the form; None where the form has something to say."""
    before = before_start(screen, session, dataset)
    return None if before["refusal"] or before["warnings"] else last_preset(session, dataset)


def last_preset(session: Session, dataset: Dataset) -> str:
    rows = jobs.page(session, Window(1), JobKind.TRAINING, dataset_id=dataset.id).data
    return TrainingRequest.of(rows[0]).recipe.preset if rows else "quick"


def list_backbones(session: Session) -> dict[str, Any]:
    """Return the backbones with whether a worker has their weights (None: unknown), and what `auto` would be."""
    reachable = workers.reachable_weights(session, Queue.TRAIN, PRESENT_SECONDS)
    names = [str(name) for name in get_args(Backbone)]
    stems = {name: [file_stem(backbone_of(name), weights) for weights in backbone_of(name).weights] for name in names}
    known = {name: None if reachable is None else not reachable.isdisjoint(stems[name]) for name in names}
    return {"known": known, "auto": "{}, because {}".format(*choose(reachable))}


# --- one training ----------------------------------------------------------------------------------------------------


@router.get("/trainings/{training}")
@needs("read")
def show_training(training: str, screen: ScreenDep) -> HTMLResponse:
    with screen.services.database.reading() as session:
        row = jobs.find(session, training, JobKind.TRAINING)
        asked = TrainingRequest.of(row)
        epochs = [EpochMetrics.model_validate(epoch) for epoch in jobs.metrics(session, row.id)]
        job = job_records.job(row, jobs.queue_position(session, row))
        return screen.show(
            session,
            "training.html",
            current="train",
            dataset=find_dataset(session, row),
            job=job,
            asked=asked,
            finishing=row.finish_requested_at is not None,
            phase=PHASES.get(job.phase or "", job.phase),
            charts=draw_epochs(epochs, several=asked.kind == "multi_label"),
            best=max(epochs, key=lambda epoch: epoch.accuracy, default=None),
            log=log_lines(session, row),
            made=compare.made_by(session, row),
        )


def find_dataset(session: Session, job: Job) -> Dataset | None:
    return datasets.find(session, job.dataset_id) if job.dataset_id else None


def log_lines(session: Session, job: Job) -> list[Any]:
    """Return the messages of the history, oldest first."""
    return [row for row in jobs.events(session, job.id, limit=LINES) if row.event == "log" and row.data.get("message")]


def draw_epochs(epochs: Sequence[EpochMetrics], *, several: bool) -> dict[str, Any]:
    """Return charts of losses and accuracy; none before the first epoch."""
    if not epochs:
        return {}
    loss = line_chart(
        [
            Line("held out", [(epoch.epoch, epoch.valid_loss) for epoch in epochs], dots=len(epochs) <= LISTED),
            Line("training", [(epoch.epoch, epoch.train_loss) for epoch in epochs], dots=False),
        ],
        title="Loss by epoch, of training and of held-out pictures",
        x_name="epoch",
        x_counts=True,
        y_text=lambda value: f"{value:.3g}",
    )
    lines = [Line("accuracy", [(epoch.epoch, epoch.accuracy) for epoch in epochs], dots=len(epochs) <= LISTED)]
    if several:
        means = [(epoch.epoch, epoch.mean_average_precision or 0.0) for epoch in epochs]
        lines.append(Line("mean average precision", means, dots=False))
    title = "Accuracy on held-out pictures by epoch"
    accuracy = line_chart(lines, title=title, x_name="epoch", x_counts=True, y_text=percent, y_most=1.0)
    return {"loss": loss, "accuracy": accuracy}


@router.post("/trainings/{training}/finish")
@needs("train", act="finish_training")
def finish(training: str, screen: ScreenDep) -> Response:
    with screen.services.database.transaction() as session:
        jobs.request_finish(session, jobs.find(session, training, JobKind.TRAINING).id, by=screen.visitor.id)
    return RedirectResponse(f"/trainings/{training}", 303)


@router.post("/trainings/{training}/cancel")
@needs("train", act="cancel_job")
def cancel(training: str, screen: ScreenDep) -> Response:
    with screen.services.database.transaction() as session:
        endings.cancel(session, screen.visitor, training, JobKind.TRAINING)
    return RedirectResponse(f"/trainings/{training}", 303)


@router.post("/trainings/{training}/again")
@needs("train", act="create_training")
def train_again(training: str, screen: ScreenDep) -> Response:
    """Start a training with the same settings, on the data set as it is now."""
    with screen.services.database.reading() as session:
        asked = TrainingRequest.of(jobs.find(session, training, JobKind.TRAINING))
    body = TrainingCreate(
        dataset=asked.dataset, recipe=asked.recipe, name=asked.name, unknown=asked.unknown, resplit=asked.resplit
    )
    made = start_training(screen.services, screen.visitor, Once(None), body)
    return RedirectResponse(f"/trainings/{made.id}", 303)
