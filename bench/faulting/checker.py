"""Compares requests and responses of users with rows and blobs, independently of service and load.

`lost`: accepted but missing. `stuck`: unfinished. `twice`: an effect that occurred more than once. `wrong`: a result
that was not requested. `given_up`: ended with `worker_lost`. Each is a line that names the job and the fact. `deaf`:
workers that are alive but take no work, which others may hide; the roll call finds them.
"""

import io
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from pyarrow import parquet
from sqlalchemy import func, select

from bench.faulting.load import Accepted
from db.models import (
    BatchItem,
    Blob,
    Chunk,
    Evaluation,
    Image,
    ImportItem,
    Job,
    JobEvent,
    Model,
    ModelFile,
    Prediction,
)
from db.parts.files import PartStore
from db.session import Session
from tsukiji.errors import TsukijiError
from tsukiji.ingest.outputs import Outputs, folder_of
from tsukiji.jobs import TERMINAL, JobKind, JobStatus
from tsukiji.kernel.settings import Settings
from tsukiji.kernel.storage import open_store
from worker.jobs.part_listing import LOG


@dataclass
class Verdict:
    finished: int = 0
    lost: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)
    deaf: list[str] = field(default_factory=list)


class Checker:
    def __init__(self, session: Session, settings: Settings) -> None:
        self.verdict = Verdict()
        self._session, self._store = session, open_store(settings)
        self._files = PartStore(self._store, Outputs(settings))

    def check(self, accepted: list[Accepted]) -> Verdict:
        """Check every accepted job, and that there are no others."""
        for promise in accepted:
            job = self._session.get(Job, promise.id)
            if job is None:
                self.verdict.lost.append(f"{promise.id}: no row")
            elif job.status not in TERMINAL:
                self.verdict.stuck.append(f"{job.id}: {job.status}, attempt {job.attempt}, {self._chunks(job)}")
            else:
                self.verdict.finished += 1
                self._check_end(job, promise)
        known = {promise.id for promise in accepted}
        self.verdict.twice += [
            f"{job_id}: nobody was told of it"
            for job_id in self._session.scalars(select(Job.id))
            if job_id not in known
        ]
        self._check_blobs()
        return self.verdict

    def _check_end(self, job: Job, promise: Accepted) -> None:
        ends = [data["status"] for data in self._history(job, "done")]
        if ends != [job.status] or promise.told not in {"", job.status}:
            self.verdict.twice.append(f"{job.id}: is {job.status}, ended as {ends}, told as {promise.told!r}")
        code = (job.error or {}).get("code")
        if code == "worker_lost":
            self.verdict.given_up.append(f"{job.id}: attempt {job.attempt}")
        elif job.status != JobStatus.SUCCEEDED and not (promise.cancelled and job.status == JobStatus.CANCELLED):
            self.verdict.wrong.append(f"{job.id}: {job.status} ({code}), cancelled by its user: {promise.cancelled}")
        checks = {
            JobKind.BATCH: self._check_batch,
            JobKind.TRAINING: self._check_training,
            JobKind.IMPORT: self._check_import,
        }
        checks[JobKind(job.kind)](job, promise)

    def _history(self, job: Job, event: str) -> list[dict[str, Any]]:
        query = select(JobEvent.data).where(JobEvent.job_id == job.id, JobEvent.event == event)
        return list(self._session.scalars(query.order_by(JobEvent.id)))

    # --- batches -----------------------------------------------------------------------------------------------------

    def _check_batch(self, job: Job, promise: Accepted) -> None:
        if any(chunk.status not in TERMINAL for chunk in self._chunks_of(job)):
            self.verdict.stuck.append(f"{job.id}: {job.status} with chunks {self._chunks(job)}")
        if promise.parts:
            self._check_parts(job, promise)
            return
        items = self._session.scalars(select(BatchItem).where(BatchItem.job_id == job.id)).all()
        predicted = list(self._session.scalars(select(Prediction).where(Prediction.job_id == job.id)))
        names = Counter(item.custom_id for item in items)
        name_of = {item.seq: item.custom_id for item in items}
        self._count_twice(job, "items", names)
        found = [(name_of.get(row.seq, f"no item {row.seq}"), row.label) for row in predicted]
        self._check_results(job, promise, found)
        if items and {item.custom_id: item.sha256 for item in items} != promise.sent:
            self.verdict.lost.append(f"{job.id}: its items are not what was sent")

    def _check_parts(self, job: Job, promise: Accepted) -> None:
        """Read the parts that rows name, and in a place of the user's own what its log names: the same."""
        parts = [chunk for chunk in self._chunks_of(job) if chunk.part is not None]
        rows = [row for chunk in parts for row in self._rows_of(chunk)]
        self._check_results(job, promise, [(row["custom_id"], row["label"]) for row in rows])
        if any(promise.sent.get(row["custom_id"]) != row["sha256"] for row in rows):
            self.verdict.wrong.append(f"{job.id}: a part has pictures that were not sent")
        url = job.request["output"].get("url")
        names = sorted(chunk.part["url"].rpartition("/")[2] for chunk in parts if url and chunk.part)
        if url and names and self._listed(folder_of(url, job.id)) != names:
            self.verdict.lost.append(f"{job.id}: {job.status}, its log does not name the parts {names}")

    def _rows_of(self, chunk: Chunk) -> list[dict[str, Any]]:
        try:
            rows: list[dict[str, Any]] = parquet.read_table(io.BytesIO(self._files.read(chunk))).to_pylist()
        except TsukijiError as error:
            self.verdict.lost.append(f"{chunk.job_id}: a part: {error.code}")
            return []
        return rows

    def _listed(self, folder: str) -> list[str]:
        try:
            log = self._files.outputs.open(folder).read(LOG).decode()
        except TsukijiError:
            return []
        return sorted(line["add"]["path"] for line in map(json.loads, log.splitlines()) if "add" in line)

    def _check_results(self, job: Job, promise: Accepted, found: list[tuple[str, str | None]]) -> None:
        """Compare results, as names with labels, with the counters and with what was sent."""
        results = Counter(name for name, _ in found)
        self._count_twice(job, "results", results)
        counters = (job.items_succeeded, job.items_errored, job.completed)
        good = sum(label is not None for _, label in found)
        if counters != (good, len(found) - good, len(found)):
            self.verdict.twice.append(f"{job.id}: counters {counters}, but {good} of {len(found)} results are good")
        if job.status == JobStatus.SUCCEEDED and (results.keys() != promise.sent.keys() or good != len(promise.sent)):
            self.verdict.lost.append(f"{job.id}: {good} good results of {len(promise.sent)} pictures")

    def _chunks_of(self, job: Job) -> list[Chunk]:
        return list(self._session.scalars(select(Chunk).where(Chunk.job_id == job.id)))

    def _chunks(self, job: Job) -> dict[str, int]:
        return dict(Counter(f"{chunk.status}/{chunk.attempt}" for chunk in self._chunks_of(job)))

    def _count_twice(self, job: Job, what: str, counts: Counter[str]) -> None:
        repeated = [name for name, count in counts.items() if count > 1]
        if repeated:
            self.verdict.twice.append(f"{job.id}: {len(repeated)} {what} more than once, such as {repeated[0]!r}")

    # --- trainings and imports ---------------------------------------------------------------------------------------

    def _check_training(self, job: Job, promise: Accepted) -> None:
        models = list(self._session.scalars(select(Model.id).where(Model.training_id == job.id)))
        judged = self._session.scalar(
            select(func.count()).select_from(Evaluation).where(Evaluation.model_id.in_(models))
        )
        wanted = [job.result["model_id"]] if job.status == JobStatus.SUCCEEDED and job.result else []
        if len(models) > len(wanted) or (judged or 0) > len(wanted):
            self.verdict.twice.append(f"{job.id}: {job.status} with {len(models)} models, {judged} evaluations")
        elif models != wanted or judged != len(wanted):
            self.verdict.lost.append(f"{job.id}: models {models}, evaluations {judged}, promised {wanted}")
        epochs = [data["epoch"] for data in self._history(job, "metric")]
        self._count_twice(job, "epochs", Counter(map(str, epochs)))
        if job.status == JobStatus.SUCCEEDED and set(epochs) != set(range(1, promise.epochs + 1)):
            self.verdict.lost.append(f"{job.id}: its history has the epochs {epochs} of {promise.epochs}")

    def _check_import(self, job: Job, promise: Accepted) -> None:
        verdicts = Counter(self._session.scalars(select(ImportItem.name).where(ImportItem.job_id == job.id)))
        stored = select(Image.name, Image.sha256).where(Image.dataset_id == promise.dataset)
        images = [(row.name, row.sha256) for row in self._session.execute(stored)]
        self._count_twice(job, "verdicts", verdicts)
        self._count_twice(job, "images", Counter(sha256 for _, sha256 in images))
        if job.status == JobStatus.SUCCEEDED and (
            dict(images) != promise.sent or verdicts.keys() != promise.sent.keys()
        ):
            self.verdict.lost.append(f"{job.id}: {len(images)} images of {len(promise.sent)} are in the data set")
        if job.status == JobStatus.SUCCEEDED and (job.result or {}).get("accepted") != len(promise.sent):
            self.verdict.twice.append(f"{job.id}: it says {job.result} of {len(promise.sent)} files")

    # --- blobs -------------------------------------------------------------------------------------------------------

    def _check_blobs(self) -> None:
        """Read and verify all bytes referenced by rows."""
        for sha256 in self._session.scalars(select(Blob.sha256)):
            try:
                self._store.read(sha256)
            except TsukijiError as error:
                users = [
                    table.__tablename__
                    for table in (BatchItem, Image, ModelFile)
                    if self._session.scalar(select(func.count()).where(table.sha256 == sha256))
                ]
                self.verdict.lost.append(f"blob {sha256}: {error.code}, wanted by {users}")
