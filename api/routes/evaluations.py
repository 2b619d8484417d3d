"""Evaluations: metrics, confusion matrix, images, and comparisons."""

from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import Query, Response

from api.http.access import needs
from api.http.dependencies import Caller, Reading, ServicesDep
from api.http.idempotency import OnceDep
from api.http.job_responses import answer_start
from api.http.paging import PagingDep
from api.http.routing import Router
from api.http.schemas import bytes_answer
from api.serialize import records
from api.serialize.csv_tables import csv_lines
from api.serialize.evaluation_comparison import compare
from api.submit.evaluations import start_evaluation
from db import registry
from tsukiji.errors import Invalid
from tsukiji.types import Comparison, Evaluation, EvaluationCreate, EvaluationItem, Job, Metrics, Page

router = Router(prefix="/evaluations", tags=["evaluations"])

Normalise = Annotated[bool, Query(description="Fractions of each true label's images instead of counts.")]


@router.post("", status_code=202, response_model=Job)
@needs("train")
def create_evaluation(body: EvaluationCreate, services: ServicesDep, caller: Caller, once: OnceDep) -> Response:
    """Evaluate a model on the labelled images of a data set; the job's result names the evaluation."""
    return answer_start(services, start_evaluation(services, caller, once, body))


@router.get("")
@needs("read")
def list_evaluations(session: Reading, paging: PagingDep, model: str | None = None) -> Page[Evaluation]:
    """List the evaluations, newest first, without curves and sweep."""
    window = paging.window(model)
    model_id = None if model is None else registry.find_model(session, model).id
    rows = registry.page_evaluations(session, window, model_id)
    leakages = registry.leakages(session, (row.snapshot_id for row in rows.data))
    return paging.answer(rows, lambda row: records.listed_evaluation(row, leakages.get(row.snapshot_id)))


@router.get("/compare")
@needs("read")
def compare_evaluations(
    session: Reading,
    a: Annotated[str, Query(description="Id of an evaluation.")],
    b: Annotated[str, Query(description="Id of another evaluation; differences are b minus a.")],
) -> Comparison:
    """Compare two evaluations on the images they share, with a test of significance."""
    return compare(session, a, b)


@router.get("/{evaluation}")
@needs("read")
def get_evaluation(evaluation: str, session: Reading) -> Evaluation:
    """Get accuracy, per-class metrics, confusion matrix, curves, calibration, sweep and leakage."""
    row = registry.find_evaluation(session, evaluation)
    return records.evaluation(row, registry.leakages(session, [row.snapshot_id]).get(row.snapshot_id))


@router.get("/{evaluation}/confusion.csv", response_class=Response, responses=bytes_answer("text/csv"))
@needs("read")
def get_confusion_csv(evaluation: str, session: Reading, normalise: Normalise = False) -> Response:
    """Get the confusion matrix as CSV: a row per true label, a column per predicted one.

    For a multi-label model: a row per label, with its counts against its absence.
    """
    metrics = metrics_of(session, evaluation)
    if metrics.multi_label:
        columns = ["label", "true_positives", "false_positives", "false_negatives", "true_negatives"]
        found = [row.model_dump() for row in metrics.multi_label.per_label]
        lines = csv_lines([columns, *([row[name] for name in columns] for row in found)])
        return Response("".join(lines), media_type="text/csv; charset=utf-8")
    cells: Sequence[Sequence[float | None]] = shares(metrics.confusion) if normalise else metrics.confusion
    table = zip(metrics.label_names, cells, strict=True)
    lines = csv_lines([["true \\ predicted", *metrics.label_names], *([label, *row] for label, row in table)])
    return Response("".join(lines), media_type="text/csv; charset=utf-8")


@router.get("/{evaluation}/confusion.png", response_class=Response, responses=bytes_answer("image/png"))
@needs("read")
def get_confusion_png(evaluation: str, session: Reading, normalise: Normalise = False) -> Response:
    """Get the confusion matrix as a picture."""
    from api.serialize.confusion_matrix import draw_confusion  # noqa: PLC0415 - matplotlib takes half a second to import

    metrics = metrics_of(session, evaluation)
    if metrics.multi_label:
        raise Invalid(
            "A multi-label model has no single confusion matrix to draw.",
            hint="Fetch confusion.csv, or see `metrics.multi_label` of the evaluation.",
        )
    picture = draw_confusion(metrics.label_names, metrics.confusion, normalise=normalise)
    return Response(picture, media_type="image/png")


@router.get("/{evaluation}/items")
@needs("read")
def list_evaluation_items(
    evaluation: str,
    session: Reading,
    paging: PagingDep,
    true: Annotated[str | None, Query(description="Only images of this label.")] = None,
    predicted: Annotated[str | None, Query(description="Only images predicted as this label.")] = None,
    order: Annotated[Literal["seq", "loss"], Query(description="`loss`: worst mistakes first.")] = "seq",
) -> Page[EvaluationItem]:
    """List the images behind one cell of the confusion matrix, or all."""
    window = paging.window(true, predicted, order)
    row = registry.find_evaluation(session, evaluation)
    filters = {"worst_first": order == "loss", "several": bool(row.metrics.get("multi_label"))}
    rows = registry.page_evaluation_items(session, row.id, window, true, predicted, **filters)
    return paging.answer(rows, records.evaluation_item)


def metrics_of(session: Reading, evaluation: str) -> Metrics:
    return Metrics.model_validate(registry.find_evaluation(session, evaluation).metrics)


def shares(confusion: Sequence[Sequence[int]]) -> list[list[float | None]]:
    """Return each row as fractions of its sum; of a label without images, None."""
    return [[round(count / total, 4) if (total := sum(row)) else None for count in row] for row in confusion]
