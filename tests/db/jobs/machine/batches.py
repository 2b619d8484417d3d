"""What batches go through beside: planning, and chunks that are claimed on their own."""

from typing import Any

from sqlalchemy import select

from db import registry
from db.clock import now
from db.jobs import batches, jobs, leases, scheduling
from db.models import Chunk, Job, Model
from db.session import Session
from tests.db.jobs.machine.base import DAY, DEADLINE, LEASE, WORKERS, Claim
from tests.db.jobs.machine.jobs import JobMachine
from tests.requests import BLANK
from tsukiji.errors import GpuOutOfMemory, ModelGone, NanLoss
from tsukiji.jobs import JobKind, Queue
from tsukiji.kernel.settings import JobSettings

JOBS = JobSettings(lease_seconds=LEASE)


def answers(chunk: Chunk, bad: int) -> list[dict[str, Any]]:
    """Return one prediction per image; every `bad`-th image is broken."""
    good, broken = {"label": "cat", "score": 1.0}, {"error": {"code": "truncated"}}
    return [
        batches.blank_prediction(seq) | (broken if bad and seq % bad == 0 else good)
        for seq in range(chunk.first_seq, chunk.last_seq + 1)
    ]


class BatchMachine(JobMachine):
    kind = JobKind.BATCH
    deeds = JobMachine.deeds | {
        "create_with_files": "service",
        "read_page": "claims",
        "plan": "claims",
        "deliver_chunk": "made",
        "take_turn": "made",
        "beat_chunk": "parts",
        "finish_chunk": "parts",
        "fail_chunk": "parts",
        "retry_chunk": "parts",
        "give_back_chunk": "parts",
        "leave_cancelled_chunk": "parts",
        "abort": "parts",
        "lapse_chunk": "parts",
        "drop_chunk": "parts",
        "delete_model": "parts",
    }

    def create_with_files(self, _service: str, number: int) -> None:
        with self.database.transaction() as session:
            model_id = session.scalar(select(Model.id))
            columns = {
                "max_attempts": 3 - number,
                "model_id": model_id,
                "deadline_at": now(DEADLINE if number else DAY),
            }
            job = jobs.create(session, self.kind, request=BLANK[self.kind], **columns)
            self.cut(session, job, (2, 3, 1)[number], 1 + number)
        self.known["made"].append(job.id)

    def cut(self, session: Session, job: Job, images: int, chunk_images: int) -> None:
        total = self.add_items(session, job, images)
        batches.finish_plan(session, job, total, chunk_images, job.max_attempts)

    def add_items(self, session: Session, job: Job, images: int) -> int:
        """Add items to those in chunks; returns their number."""
        first = batches.clear_items(session, job.id)
        items = [{"custom_id": f"{n}.jpg", "sha256": None} for n in range(first, first + images)]
        batches.add_items(session, job.id, items, first)
        return first + images

    # --- a worker's deeds ---

    def read_page(self, claim: Claim, number: int) -> None:
        """Plan a part of a batch, for workers to begin with."""
        with self.late(claim) as session:
            if not leases.beat(session, claim.work, LEASE).lost:
                total = self.add_items(session, claim.work, number + 1)
                leases.beat(session, claim.work, LEASE, items_total=total, total=total, phase="reading")
                batches.cut(session, claim.work, total, 1 + number % 2, claim.work.max_attempts)

    def plan(self, claim: Claim, number: int) -> None:
        with self.late(claim) as session:
            if not leases.beat(session, claim.work, LEASE).lost:
                self.cut(session, claim.work, number + 1, 1 + number % 2)
                self.let_go(claim)

    def deliver_chunk(self, _job_id: str, number: int) -> None:
        """Deliver the message of a chunk that waits, or now and then of any."""
        chunks = sorted(self.seen.chunks.values(), key=lambda row: (row["job_id"], row["first_seq"]))
        waiting = [row for row in chunks if row["status"] == "queued"]
        chosen = waiting if waiting and number else chunks
        if not chosen:
            return
        with self.database.transaction() as session:
            work = leases.claim(session, Chunk, chosen[-number % len(chosen)]["id"], WORKERS[number], LEASE)
        if work is not None:
            self.believe(Claim(work.id, work.attempt, WORKERS[number], work), "parts")

    def take_turn(self, _job_id: str, number: int) -> None:
        """Take what is fairest, of a fresh chunk one image or two."""
        with self.database.transaction() as session:
            job_id = session.scalar(scheduling.due(Queue.INFER).limit(1))
            if job_id is None:
                return
            size = (lambda *_: number) if number else None
            work = scheduling.take(session, Queue.INFER, job_id, WORKERS[number], JOBS, size)
        assert work is not None, "its turn, but not to be had"
        self.believe(Claim(work.id, work.attempt, WORKERS[number], work), "parts")

    def beat_chunk(self, claim: Claim, _number: int) -> None:
        with self.late(claim) as session:
            signals = leases.beat(session, claim.work, LEASE)
        self.learn(claim, signals)

    def finish_chunk(self, claim: Claim, number: int) -> None:
        with self.late(claim) as session:
            done = batches.finish_chunk(session, claim.work, answers(claim.work, number))
        assert done or self.believers.get(claim.id) != claim, "good work was refused"
        self.let_go(claim)

    def fail_chunk(self, claim: Claim, _number: int) -> None:
        with self.late(claim) as session:
            batches.fail_chunk(session, claim.work, NanLoss())
        self.let_go(claim)

    def retry_chunk(self, claim: Claim, _number: int) -> None:
        with self.late(claim) as session:
            leases.retry(session, claim.work, GpuOutOfMemory())
        self.let_go(claim)

    def give_back_chunk(self, claim: Claim, _number: int) -> None:
        with self.late(claim) as session:
            leases.give_back(session, claim.work, "worker_stopping")
        self.let_go(claim)

    def leave_cancelled_chunk(self, claim: Claim, _number: int) -> None:
        with self.late(claim) as session:
            if leases.signals(session, claim.work).cancel:
                assert batches.cancel_chunk(session, claim.work)
                self.let_go(claim)

    def abort(self, claim: Claim, _number: int) -> None:
        """The model is gone: this ends the whole batch, no matter who notices it."""
        job_id = claim.work.job_id
        with self.database.transaction() as session:
            jobs.fail(session, job_id, ModelGone())
        self.forget(job_id)

    def drop_chunk(self, claim: Claim, _number: int) -> None:
        with self.late(claim) as session:
            leases.drop(session, claim.work, "stalled")
        self.let_go(claim)

    def lapse_chunk(self, claim: Claim, _number: int) -> None:
        self.age(Chunk, claim)

    # --- a dispatcher's, and a user's ---

    def delete_model(self, _claim: Claim, _number: int) -> None:
        with self.database.transaction() as session:
            registry.remove_model(session, "mdl")

    # --- the end ---

    def work(self, job_id: str) -> None:
        with self.database.transaction() as session:
            job = leases.claim(session, Job, job_id, "honest", LEASE)
            assert job is not None, "woken, but not to be had"
            self.cut(session, job, 2, 1)

    def go_round(self) -> None:
        super().go_round()
        with self.database.transaction() as session:
            for chunk_id in scheduling.waiting(session, Queue.INFER, 500):
                work = leases.claim(session, Chunk, chunk_id, "honest", LEASE)
                assert work is not None, "woken, but not to be had"
                assert batches.finish_chunk(session, work, answers(work, 0))
