"""Compares requests and responses of users with rows and blobs, independently of service and load.

`lost`: accepted but missing. `stuck`: unfinished. `twice`: an effect that occurred more than once. `wrong`: a result
that was not requested. `given_up`: ended with `worker_lost`. Each is a line that names the job and the fact. `deaf`:
workers that are alive but take no work, which others may hide; the roll call finds them.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

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
from db.session import Session
from tsukiji.errors import TsukijiError
from tsukiji.jobs import TERMINAL, JobKind, JobStatus
from tsukiji.kernel.storage import BlobStore


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
    def __init__(self, session: Session, store: BlobStore) -> None:
        self.verdict = Verdict()
        self._session, self._store = session, store

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
        items = self._session.scalars(select(BatchItem).where(BatchItem.job_id == job.id)).all()
        predicted = list(self._session.scalars(select(Prediction).where(Prediction.job_id == job.id)))
        names = Counter(item.custom_id for item in items)
        name_of = {item.seq: item.custom_id for item in items}
        results = Counter(name_of.get(row.seq, f"no item {row.seq}") for row in predicted)
        self._count_twice(job, "items", names)
        self._count_twice(job, "results", results)
        counters = (job.items_succeeded, job.items_errored, job.completed)
        good = sum(row.label is not None for row in predicted)
        if counters != (good, len(predicted) - good, len(predicted)):
            self.verdict.twice.append(f"{job.id}: counters {counters}, but {good} of {len(predicted)} results are good")
        if any(chunk.status not in TERMINAL for chunk in self._chunks_of(job)):
            self.verdict.stuck.append(f"{job.id}: {job.status} with chunks {self._chunks(job)}")
        if items and {item.custom_id: item.sha256 for item in items} != promise.sent:
            self.verdict.lost.append(f"{job.id}: its items are not what was sent")
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
