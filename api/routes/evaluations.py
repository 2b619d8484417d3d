"""Evaluations: how good a model is, in numbers, as a picture, and image by image."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from api import answers
from api.dependencies import Reading
from api.paging import PagingDep
from api.pictures import draw_confusion
from api.schemas import bytes_answer
from api.tables import csv_lines
from db import registry
from tsukiji.types import Evaluation, EvaluationItem, Metrics, Page

router = APIRouter(prefix="/evaluations", tags=["evaluations"])


@router.get("")
def list_evaluations(session: Reading, paging: PagingDep, model: str | None = None) -> Page[Evaluation]:
    """List the evaluations, newest first."""
    window = paging.window(model)
    model_id = None if model is None else registry.find_model(session, model).id
    return paging.answer(registry.page_evaluations(session, window, model_id), answers.evaluation)


@router.get("/{evaluation}")
def get_evaluation(evaluation: str, session: Reading) -> Evaluation:
    """Look at accuracy, the table per class, and the confusion matrix."""
    return answers.evaluation(registry.find_evaluation(session, evaluation))


@router.get("/{evaluation}/confusion.csv", response_class=Response, responses=bytes_answer("text/csv"))
def get_confusion_csv(evaluation: str, session: Reading) -> Response:
    """Fetch the confusion matrix: a row per true label, a column per predicted one."""
    metrics = metrics_of(session, evaluation)
    table = zip(metrics.label_names, metrics.confusion, strict=True)
    lines = csv_lines([["true \\ predicted", *metrics.label_names], *([label, *row] for label, row in table)])
    return Response("".join(lines), media_type="text/csv; charset=utf-8")


@router.get("/{evaluation}/confusion.png", response_class=Response, responses=bytes_answer("image/png"))
def get_confusion_png(evaluation: str, session: Reading) -> Response:
    """Fetch the confusion matrix as a picture."""
    metrics = metrics_of(session, evaluation)
    return Response(draw_confusion(metrics.label_names, metrics.confusion), media_type="image/png")


@router.get("/{evaluation}/items")
def list_evaluation_items(
    evaluation: str,
    session: Reading,
    paging: PagingDep,
    true: Annotated[str | None, Query(description="Only images of this label.")] = None,
    predicted: Annotated[str | None, Query(description="Only images taken for this label.")] = None,
) -> Page[EvaluationItem]:
    """List the images behind one cell of the confusion matrix, or all."""
    window = paging.window(true, predicted)
    row = registry.find_evaluation(session, evaluation)
    rows = registry.page_evaluation_items(session, row.id, window, true, predicted)
    return paging.answer(rows, answers.evaluation_item)


def metrics_of(session: Reading, evaluation: str) -> Metrics:
    return Metrics.model_validate(registry.find_evaluation(session, evaluation).metrics)
