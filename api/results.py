"""A batch's results as one stream, JSON lines or CSV, read page by page so that no transaction lasts."""

import itertools
from collections.abc import Iterator
from typing import Any

from api import answers
from api.decisions import AS_ASKED, Wish
from api.services import Services
from api.tables import csv_lines
from db import batches, jobs
from db.models import Job
from db.pages import Window
from tsukiji.types import Prediction

PAGE_ROWS = 500


def read_results(services: Services, job_id: str, wish: Wish = AS_ASKED) -> Iterator[Prediction]:
    """Yield what is known by now in the order of the input; what still waits is left out."""
    cursor: str | None = None
    while True:
        with services.database.reading() as session:
            job = jobs.find(session, job_id)
            rows, cursor = batches.results(session, job_id, Window(PAGE_ROWS, cursor))
        found = (answers.prediction(row, job, wish) for row in rows)
        yield from (prediction for prediction in found if prediction.status != "queued")
        if cursor is None:
            return


def json_lines(services: Services, job: Job, wish: Wish) -> Iterator[bytes]:
    return in_pieces(prediction.model_dump_json() + "\n" for prediction in read_results(services, job.id, wish))


def csv_table(services: Services, job: Job, wish: Wish) -> Iterator[bytes]:
    top_k = min(job.request["top_k"], len(job.request["label_names"]))
    head = ["custom_id", "status", "label", "score", "known_score", "decision"]
    head += [f"{column}_{rank}" for rank in range(1, top_k + 1) for column in ("label", "score")]
    rows = (csv_row(prediction, top_k) for prediction in read_results(services, job.id, wish))
    return in_pieces(csv_lines(itertools.chain([[*head, "error"]], rows)))


def csv_row(prediction: Prediction, top_k: int) -> list[Any]:
    best = [value for score in prediction.scores for value in (score.label, score.score)]
    return [
        prediction.custom_id,
        prediction.status,
        prediction.label,
        prediction.score,
        prediction.known_score,
        prediction.decision,
        *best,
        *[None] * (2 * top_k - len(best)),
        prediction.error and prediction.error.code,
    ]


def in_pieces(lines: Iterator[str]) -> Iterator[bytes]:
    """Join lines, so that each costs no message of its own."""
    while piece := "".join(itertools.islice(lines, PAGE_ROWS)):
        yield piece.encode()
