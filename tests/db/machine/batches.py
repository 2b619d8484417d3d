"""What batches go through beside: planning, and chunks that are claimed on their own."""

from typing import Any

from sqlalchemy import select

from db import batches, jobs, registry, turns
from db.batches import Work
from db.clock import now
from db.models import Chunk, Job, Model
from db.session import Session
from tests.db.machine.base import DAY, DEADLINE, LEASE, WORKERS, Claim
from tests.db.machine.jobs import JobMachine
from tsukiji.errors import GpuOutOfMemory, ModelGone, NanLoss
from tsukiji.jobs import JobKind


def answers(work: Work, bad: int) -> list[dict[str, Any]]:
    """Return one prediction per item; every `bad`-th image is broken."""
    good, broken = {"label": "cat", "score": 1.0}, {"error": {"code": "truncated"}}
    return [
        batches.blank_prediction(item.seq) | (broken if bad and item.seq % bad == 0 else good) for item in work.items
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
        "look_for_silent_chunks": "parts",
        "recover_chunk": "silent_parts",
        "look_for_unwoken_chunks": "made",
        "mark_chunks_sent": "unwoken_parts",
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
            job = jobs.create(session, self.kind, request={}, **columns)
            self.cut(session, job, (2, 3, 1)[number], 1 + number)
        self.known["made"].append(job.id)

    def cut(self, session: Session, job: Job, images: int, chunk_images: int) -> None:
        total = self.add_items(session, job, images)
        batches.finish_plan(session, job, total, chunk_images, job.max_attempts)

    def add_items(self, session: Session, job: Job, images: int) -> int:
        """Add items to those that are in chunks; returns how many there are then."""
        first = batches.clear_items(session, job.id)
        items = [{"custom_id": f"{n}.jpg", "sha256": None} for n in range(first, first + images)]
        batches.add_items(session, job.id, items, first)
        return first + images

    # --- a worker's deeds ---

    def read_page(self, claim: Claim, number: int) -> None:
        """Plan a part of a batch, for workers to begin with."""
        with self.late(claim) as session:
            if not jobs.beat(session, claim.id, claim.attempt, LEASE).lost:
                total = self.add_items(session, claim.work, number + 1)
                jobs.beat(session, claim.id, claim.attempt, LEASE, items_total=total, total=total, phase="reading")
                batches.cut(session, claim.work, total, 1 + number % 2, claim.work.max_attempts)

    def plan(self, claim: Claim, number: int) -> None:
        with self.late(claim) as session:
            if not jobs.beat(session, claim.id, claim.attempt, LEASE).lost:
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
            work = batches.claim_chunk(session, chosen[-number % len(chosen)]["id"], WORKERS[number], LEASE)
        if work is not None:
            self.believe(Claim(work.chunk.id, work.chunk.attempt, WORKERS[number], work), "parts")

    def take_turn(self, _job_id: str, number: int) -> None:
        """Take what is fairest, of a fresh chunk one image or two."""
        with self.database.transaction() as session:
            job_id = turns.next_batch(session)
            if job_id is None:
                return
            job = jobs.lock(session, job_id)
            work = turns.take(session, job, WORKERS[number], LEASE, number or None)
        assert work is not None, "its turn, but not to be had"
        self.believe(Claim(work.chunk.id, work.chunk.attempt, WORKERS[number], work), "parts")

    def beat_chunk(self, claim: Claim, _number: int) -> None:
        with self.late(claim) as session:
            signals = batches.beat_chunk(session, claim.work.chunk, LEASE)
        self.learn(claim, signals)

    def finish_chunk(self, claim: Claim, number: int) -> None:
        with self.late(claim) as session:
            done = batches.finish_chunk(session, claim.work.chunk, answers(claim.work, number))
        assert done or self.believers.get(claim.id) != claim, "good work was refused"
        self.let_go(claim)

    def fail_chunk(self, claim: Claim, _number: int) -> None:
        with self.late(claim) as session:
            batches.fail_chunk(session, claim.work.chunk, NanLoss())
        self.let_go(claim)

    def retry_chunk(self, claim: Claim, _number: int) -> None:
        with self.late(claim) as session:
            batches.retry_chunk(session, claim.work.chunk, GpuOutOfMemory())
        self.let_go(claim)

    def give_back_chunk(self, claim: Claim, _number: int) -> None:
        with self.late(claim) as session:
            batches.give_back_chunk(session, claim.work.chunk)
        self.let_go(claim)

    def leave_cancelled_chunk(self, claim: Claim, _number: int) -> None:
        with self.late(claim) as session:
            if batches.chunk_signals(session, claim.work.chunk).cancel:
                assert batches.cancel_chunk(session, claim.work.chunk)
                self.let_go(claim)

    def abort(self, claim: Claim, _number: int) -> None:
        """The model is gone: that is true for the whole batch, whoever finds it out."""
        job_id = claim.work.job.id
        with self.database.transaction() as session:
            batches.abort(session, job_id, ModelGone())
        self.forget(job_id)

    def drop_chunk(self, claim: Claim, _number: int) -> None:
        with self.late(claim) as session:
            batches.drop_chunk(session, claim.work.chunk, "stalled")
        self.let_go(claim)

    def lapse_chunk(self, claim: Claim, _number: int) -> None:
        self.age(Chunk, claim)

    # --- a dispatcher's, and a user's ---

    def look_for_silent_chunks(self, _claim: Claim, _number: int) -> None:
        with self.database.reading() as session:
            found = batches.expired_chunks(session)
        self.known["silent_parts"] += sorted(found, key=lambda chunk: (chunk.job_id, chunk.first_seq))

    def recover_chunk(self, chunk: Chunk, _number: int) -> None:
        with self.database.transaction() as session:
            batches.recover_chunk(session, chunk)

    def look_for_unwoken_chunks(self, _job_id: str, _number: int) -> None:
        with self.database.reading() as session:
            self.known["unwoken_parts"].append([chunk.id for chunk in turns.unsent_chunks(session, 60)])

    def mark_chunks_sent(self, chunk_ids: list[str], _number: int) -> None:
        with self.database.transaction() as session:
            jobs.mark_sent(session, [self.seen.chunks[chunk_id]["job_id"] for chunk_id in chunk_ids])

    def delete_model(self, _claim: Claim, _number: int) -> None:
        with self.database.transaction() as session:
            registry.remove_model(session, "mdl")

    # --- the end ---

    def work(self, job_id: str) -> None:
        with self.database.transaction() as session:
            job = jobs.claim(session, job_id, "honest", LEASE)
            assert job is not None, "woken, but not to be had"
            self.cut(session, job, 2, 1)

    def go_round(self) -> None:
        super().go_round()
        with self.database.transaction() as session:
            for chunk in batches.expired_chunks(session):
                batches.recover_chunk(session, chunk)
            for chunk in turns.unsent_chunks(session, 60):
                work = batches.claim_chunk(session, chunk.id, "honest", LEASE)
                assert work is not None, "woken, but not to be had"
                assert batches.finish_chunk(session, work.chunk, answers(work, 0))
