"""What results cost as rows: writing, bytes, pages by each filter, streams. SQLite, and PostgreSQL where it is given.

    python -m bench.reading [--rows 100000] [--postgres URL of an empty database] [--json]

Pages are of 50 images, and the first, one from the middle and a late one are timed; the worst median of them is told.
"""

import argparse
import resource
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from sqlalchemy import insert, text

from api.serialize.parquet import parquet_file
from api.serialize.result_filters import Selection
from api.serialize.results import Results
from api.serialize.summary import summarise
from api.serialize.thresholds import AS_ASKED, Thresholds
from api.services import Services
from bench.report import show
from db import probabilities
from db.jobs import batches, jobs
from db.models import Job, Prediction
from db.paging import Window
from db.predictions import results, retention
from db.session import Database
from db.upgrade import upgrade
from tsukiji.jobs import JobKind, JobStatus
from tsukiji.kernel.settings import DatabaseSettings, DataSettings, Settings

PAGE, RUNS, PART = 50, 5, 1000
LABELS = 20
STRICT = Thresholds(0.6, 0.2)
SELECTIONS = {
    "all": Selection(AS_ASKED),
    "status=errored": Selection(AS_ASKED, status="errored"),
    "error=truncated": Selection(AS_ASKED, error="truncated"),
    "label, rare": Selection(AS_ASKED, label="label-19"),
    "label, common": Selection(AS_ASKED, label="label-0"),
    "label, order=score": Selection(AS_ASKED, label="label-0", order="score"),
    "score 0.4 to 0.5": Selection(AS_ASKED, min_score=0.4, max_score=0.5),
    "order=score": Selection(AS_ASKED, order="score"),
    "order=-score": Selection(AS_ASKED, order="-score"),
    "decision": Selection(STRICT, decision="label-1"),
    "decision, order=score": Selection(STRICT, decision="label-1", order="score"),
    "abstained": Selection(STRICT, abstained=True),
    "abstained, hardly any": Selection(Thresholds(0, 0.00001), abstained=True),
    "abstained, order=-score": Selection(STRICT, abstained=True, order="-score"),
    "true_label": Selection(AS_ASKED, true_label="label-3"),
    "true_label that no image has": Selection(AS_ASKED, true_label="none"),
    "status=cancelled, none": Selection(AS_ASKED, status="cancelled"),
    "true_label, label": Selection(AS_ASKED, true_label="label-3", label="label-0"),
}


def made_up(job_id: str, labels: int, rows: int) -> Iterator[list[dict[str, Any]]]:
    """Yield predictions as a worker hands them over, one in a hundred an error, common labels first."""
    random = np.random.default_rng(0)
    weights = 1 / (1 + np.arange(labels))
    for start in range(0, rows, PART):
        found = random.dirichlet(weights, size=min(PART, rows - start)).astype("<f4")
        known = random.random(len(found))
        part = []
        for number, values in enumerate(found):
            row = batches.blank_prediction(start + number) | {"job_id": job_id}
            if number % 100 == 0:
                row["error"] = {"code": "truncated", "title": "cut short", "detail": ""}
            else:
                best = int(values.argmax())
                row |= {"label": f"label-{best}", "score": float(values[best]), "known_score": float(known[number])}
                row |= {"probabilities": values.tobytes(), "width": 500, "height": 375}
            part.append(row)
        yield part


@dataclass(frozen=True)
class Filled:
    job: Job
    seconds: float
    """That writing the predictions took."""
    bytes: int
    """Of the predictions and their indexes."""


def fill(database: Database, labels: int, rows: int, *, narrow: bool) -> Filled:
    """Write a batch that is done."""
    names = [f"label-{number}" for number in range(labels)]
    request = {"model": "mdl_1", "label_names": names, "top_k": 3, "threshold": 0.0, "min_known": None}
    known = {"planned": True, "items_total": rows, "status": JobStatus.SUCCEEDED}
    with database.transaction() as session:
        job = jobs.create(session, JobKind.BATCH, request=request, max_attempts=3)
        items = [
            {"custom_id": f"{seq}.jpg", "sha256": None, "true_label": names[seq * 7 % labels]} for seq in range(rows)
        ]
        batches.add_items(session, job.id, items)
        jobs.change(session, Job.id == job.id, **known)
    before, seconds = size(database), 0.0
    for part in made_up(job.id, labels, rows):
        began = time.perf_counter()
        kept = [row | {"probabilities": probabilities.narrow(row["probabilities"])} for row in part] if narrow else part
        with database.transaction() as session:
            session.execute(insert(Prediction), kept)
        seconds += time.perf_counter() - began
    with database.reading() as session:
        return Filled(jobs.find(session, job.id), seconds, size(database) - before)


def size(database: Database) -> int:
    """Return the bytes of the predictions and their indexes; in SQLite of the whole file."""
    if database.engine.dialect.name != "sqlite":
        with database.reading() as session:
            return int(session.scalar(text("SELECT pg_total_relation_size('predictions')")) or 0)
    with database.engine.connect() as connection:
        connection.exec_driver_sql("ROLLBACK")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.exec_driver_sql("BEGIN")
    return Path(database.engine.url.database or "").stat().st_size


def measure_writing(database: Database, rows: int) -> dict[str, int]:
    figures, jobs_done = {}, []
    for labels in (2, 500):
        for form, narrow in (("float32", False), ("kept", True)):
            filled = fill(database, labels, rows, narrow=narrow)
            figures[f"{labels}_labels_{form}_rows_per_second"] = round(rows / filled.seconds)
            figures[f"{labels}_labels_{form}_bytes_per_row"] = round(filled.bytes / rows)
            jobs_done.append(filled.job)
    for job in jobs_done:  # not before: what is freed would be filled again, and the file would not grow
        purge(database, job)
    return figures


def measure_pages(database: Database, job: Job) -> dict[str, float]:
    """Return the worst median, in milliseconds, of the first page and of later ones."""
    figures = {}
    for name, selection in SELECTIONS.items():
        wanted, cursor, worst = selection.wanted(job), None, 0.0
        for limit in (PAGE, 5000, PAGE):
            times = []
            for _ in range(RUNS):
                began = time.perf_counter()
                with database.reading() as session:
                    _, following = results.page(session, job.id, Window(limit, cursor), wanted)
                times.append(time.perf_counter() - began)
            worst = max(worst, statistics.median(times)) if limit == PAGE else worst
            cursor = following or cursor
        figures[f"page_ms {name}"] = round(1000 * worst, 1)
    began = time.perf_counter()
    with database.reading() as session:
        summarise(job, results.groups(session, job.id, STRICT.rule(job)), batches.reasons(session, job.id))
    return figures | {"summary_ms": round(1000 * (time.perf_counter() - began), 1)}


def measure_streams(database: Database, job: Job, settings: Settings) -> dict[str, float]:
    services = Services(settings, database, cast("Any", None), cast("Any", None))
    found = Results(services, job, Selection(AS_ASKED))
    complete = Results(services, job, Selection(AS_ASKED), complete=True)
    rows = job.items_total
    figures: dict[str, float] = {}
    for name, stream in (
        ("jsonl", found.json_lines()),
        ("csv", found.csv()),
        ("parquet", parquet_file(found)),
        ("parquet_complete", parquet_file(complete)),
    ):
        began = time.perf_counter()
        sent = sum(len(piece) for piece in stream)
        figures[f"{name}_rows_per_second"] = round(rows / (time.perf_counter() - began))
        figures[f"{name}_bytes_per_row"] = round(sent / rows, 1)
    return figures


def purge(database: Database, job: Job) -> float:
    """Delete a batch's results; returns the longest transaction in milliseconds."""
    longest, left = 0.0, True
    while left:
        began = time.perf_counter()
        with database.transaction() as session:
            left = retention.delete_slice(session, job.id)
        longest = max(longest, time.perf_counter() - began)
    return round(1000 * longest, 1)


def measure(settings: Settings, rows: int) -> dict[str, float]:
    upgrade(settings)
    database = Database(settings)
    written = measure_writing(database, min(rows, 20_000))
    job = fill(database, LABELS, rows, narrow=True).job
    if database.engine.dialect.name == "postgresql":
        with database.transaction() as session:
            session.execute(text("ANALYZE"))  # as autovacuum does within a minute
    read = measure_pages(database, job) | measure_streams(database, job, settings)
    began = time.perf_counter()
    longest = purge(database, job)
    deleted = {"deleted_rows_per_second": round(rows / (time.perf_counter() - began)), "longest_deletion_ms": longest}
    database.close()
    return written | read | deleted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--postgres", help="URL of an empty database")
    parser.add_argument("--quick", action="store_true", help="few rows: shows that it works, measures little")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    options = parser.parse_args()
    if options.quick:
        options.rows = min(options.rows, 10_000)
    with tempfile.TemporaryDirectory() as folder:
        kinds = {"sqlite": DatabaseSettings()}
        if options.postgres:
            kinds["postgresql"] = DatabaseSettings(url=options.postgres)
        for kind, place in kinds.items():
            settings = Settings(data=DataSettings(dir=Path(folder)), database=place)
            show(
                f"{options.rows} results in {kind}",
                {"database": kind} | measure(settings, options.rows),
                as_json=options.json,
            )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    show("this process", {"peak_mb": peak // 1024}, as_json=options.json)


if __name__ == "__main__":
    main()
