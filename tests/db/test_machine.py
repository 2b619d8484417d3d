"""Jobs and batches under any order of claims, crashes, zombies, cancels and two dispatchers.

A claim can be taken up for ever: whoever never acts again has crashed, whoever acts too late is a zombie. Rows that a
dispatcher has seen stay too, so it may act on what has long changed. The clock is moved by ageing leases.
"""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import delete, select, update

from db import batches, jobs, registry
from db.batches import Work
from db.clock import now
from db.models import Chunk, Job, JobEvent, Model, Prediction
from db.session import Database, Session
from tsukiji.errors import GpuOutOfMemory, ModelGone, NanLoss
from tsukiji.jobs import TERMINAL, TRANSITIONS, JobKind, JobStatus

LEASE = 3600
OPEN = {"queued", "running"}
HELD = {"running", "cancelling"}
OF_OTHERS = {"model_id"}
"""What a deleted model takes out of a job's row, ended or not."""
UNSEEN = {"sent_at", "lease_expires_at", "version"} | OF_OTHERS
"""Columns whose change alone is no news to anybody."""
ROUNDS = 4
"""Honest rounds until everything has ended: recover and plan, take the chunks, and two to spare."""
OFTEN = {"deliver", "deliver_chunk", "plan"}
SELDOM = {"create", "cancel", "fail", "leave_cancelled", "request_finish", "abort", "delete_model", "fail_chunk"}
WORKERS = ["w1", "w2", "w3"]


@dataclass(frozen=True)
class Claim:
    """What a worker remembers of its claim."""

    id: str
    attempt: int
    worker: str
    work: Any


@dataclass
class Picture:
    """All that the tables say."""

    jobs: dict[str, dict[str, Any]]
    chunks: dict[str, dict[str, Any]]
    histories: dict[str, list[str]]
    predictions: dict[str, dict[int, bool]]

    def row(self, work_id: str) -> dict[str, Any]:
        return self.jobs.get(work_id) or self.chunks[work_id]

    def chunks_of(self, job_id: str, *statuses: str) -> list[dict[str, Any]]:
        return [row for row in self.chunks.values() if row["job_id"] == job_id and row["status"] in statuses]


def look(database: Database) -> Picture:
    with database.reading() as session:
        rows = [dict(row._mapping) for row in session.execute(select(Job.__table__))]
        chunks = [dict(row._mapping) for row in session.execute(select(Chunk.__table__))]
        picture = Picture({row["id"]: row for row in rows}, {row["id"]: row for row in chunks}, {}, {})
        lines = select(JobEvent.job_id, JobEvent.data).where(JobEvent.event.in_({"status", "done"}))
        for job_id, data in session.execute(lines.order_by(JobEvent.id)):
            picture.histories.setdefault(job_id, []).append(data["status"])
        for job_id, seq, error in session.execute(select(Prediction.job_id, Prediction.seq, Prediction.error)):
            picture.predictions.setdefault(job_id, {})[seq] = error is None
    return picture


def without(row: dict[str, Any], columns: set[str]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in columns}


# --- what always holds -----------------------------------------------------------------------------------------------


def check_job(row: dict[str, Any], history: list[str]) -> None:
    status = row["status"]
    assert history[0] == "queued"
    for start, end in pairwise(history):
        assert end in TRANSITIONS[JobStatus(start)], f"illegal move: {history}"
    assert history[-1] == status, f"the history {history} hides that the job is {status}"
    assert (row["finished_at"] is not None) == (status in TERMINAL)
    assert (row["error"] is not None) == (status == "failed")
    assert row["started_at"] is not None or status not in HELD | {"succeeded"}
    assert row["cancel_requested_at"] is not None or status not in {"cancelling", "cancelled"}
    held = status in HELD and not row["planned"]
    assert (row["lease_owner"] is not None) == held, f"{status}, held by {row['lease_owner']}"
    assert (row["lease_expires_at"] is not None) == held, f"{status}, lease until {row['lease_expires_at']}"


def check_batch(picture: Picture, row: dict[str, Any]) -> None:
    waiting, running = picture.chunks_of(row["id"], "queued"), picture.chunks_of(row["id"], "running")
    status = row["status"]
    assert (status in TERMINAL) == (not waiting and not running), f"{status}, {len(waiting)} + {len(running)} open"
    assert not running or status in HELD, f"{status} while somebody is at work"
    if status == "cancelling":
        assert running, "nobody is left to end the cancelling"
        assert not waiting, "chunks wait that nobody may take"
    if status == "succeeded":
        assert row["items_succeeded"] + row["items_errored"] == row["items_total"]


def check_counts(picture: Picture, row: dict[str, Any]) -> None:
    found = picture.predictions.get(row["id"], {})
    good = sum(found.values())
    assert (row["items_succeeded"], row["items_errored"], row["completed"]) == (good, len(found) - good, len(found))
    ended = picture.chunks_of(row["id"], "succeeded", "failed")
    assert set(found) == {seq for chunk in ended for seq in range(chunk["first_seq"], chunk["last_seq"] + 1)}
    assert len(found) <= row["items_total"]


def check_chunk(row: dict[str, Any]) -> None:
    held = row["status"] == "running"
    assert (row["lease_owner"] is not None, row["lease_expires_at"] is not None) == (held, held)
    assert row["attempt"] < row["max_attempts"] or row["status"] != "queued", "waits, but nobody may take it"


def check_step(before: Picture, after: Picture) -> None:
    """Compare two pictures, one step apart."""
    for job_id, old in before.jobs.items():
        new = after.jobs[job_id]
        history = before.histories[job_id]
        assert after.histories[job_id][: len(history)] == history, "history was rewritten"
        if old["status"] in TERMINAL:
            assert without(new, OF_OTHERS) == without(old, OF_OTHERS), "an ended job changed"
        assert new["attempt"] >= old["attempt"]
        news = without(new, UNSEEN) != without(old, UNSEEN)
        assert not news or new["version"] > old["version"], "a change that no watcher notices"
    for chunk_id, old in before.chunks.items():
        new = after.chunks[chunk_id]
        assert old["status"] not in TERMINAL or new == old, "an ended chunk changed"
        assert new["attempt"] >= old["attempt"]


# --- jobs ------------------------------------------------------------------------------------------------------------


class JobMachine(RuleBasedStateMachine):
    """What every kind of job goes through.

    One rule draws the deed: of several rules Hypothesis leaves out some in each example, often the one that claims.
    """

    kind = JobKind.TRAINING
    deeds: ClassVar[dict[str, str]] = {
        "create": "service",
        "deliver": "made",
        "beat": "claims",
        "leave_cancelled": "claims",
        "fail": "claims",
        "retry": "claims",
        "give_back": "claims",
        "lapse": "claims",
        "look_for_silent": "claims",
        "recover": "silent",
        "look_for_unwoken": "made",
        "mark_sent": "unwoken",
        "cancel": "made",
    }
    """What can be done -> to which of the things that are known."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self.database = database
        self.known: dict[str, list[Any]] = defaultdict(list, service=["service"])
        self.believers: dict[str, Claim] = {}
        self.attempts: dict[str, int] = {}
        with database.transaction() as session:
            session.execute(delete(Job))
            session.execute(delete(Model))
            session.add(Model(id="mdl", name="m", backbone="b", label_names=[], recipe={}, bytes=0))
        self.seen = look(database)
        self.well = True

    def create(self, _service: str, number: int) -> None:
        with self.database.transaction() as session:
            self.known["made"].append(jobs.create(session, self.kind, request={}, max_attempts=number + 1).id)

    def possible(self) -> list[str]:
        """Return the deeds for which there is a thing; what begins comes up more often than what ends."""
        found = [deed for deed, things in self.deeds.items() if self.known[things]]
        return [deed for deed in found for _ in range(6 if deed in OFTEN else 1 if deed in SELDOM else 2)]

    @rule(
        deed=st.runner().flatmap(lambda machine: st.sampled_from(machine.possible())),
        which=st.sampled_from([0, 0, 0, 1, 2, 3]),
        number=st.integers(0, 2),
    )
    def act(self, deed: str, which: int, number: int) -> None:
        """Do a deed to what lives and is newest, or to the one that is `which` before it."""
        things = sorted(self.known[self.deeds[deed]], key=self.lives)
        getattr(self, deed)(things[-1 - which % len(things)], number)

    def lives(self, thing: Any) -> bool:
        """Is this a claim that holds, or a job that goes on?"""
        if isinstance(thing, Claim):
            return self.believers.get(thing.id) == thing
        return thing not in self.known["made"] or self.seen.jobs[thing]["status"] not in TERMINAL

    @invariant()
    def all_is_well(self) -> None:
        self.well = False
        before, self.seen = self.seen, look(self.database)
        check_step(before, self.seen)
        for row in self.seen.jobs.values():
            check_job(row, self.seen.histories[row["id"]])
            if row["planned"]:
                check_batch(self.seen, row)
                check_counts(self.seen, row)
        for row in self.seen.chunks.values():
            check_chunk(row)
        for claim in self.believers.values():
            row = self.seen.row(claim.id)
            assert (row["attempt"], row["lease_owner"]) == (claim.attempt, claim.worker), "a live lease was taken away"
        self.well = True

    @contextmanager
    def late(self, claim: Claim) -> Iterator[Session]:
        """A transaction of a worker; that of a zombie must change nothing at all."""
        row = self.seen.row(claim.id)
        current = row["attempt"] == claim.attempt and row["status"] in HELD and not row.get("planned")
        with self.database.transaction() as session:
            yield session
        assert current or look(self.database) == self.seen, "a late write went through"

    def believe(self, claim: Claim, kind: str) -> None:
        assert claim.id not in self.believers, "two hold one lease"
        assert claim.attempt > self.attempts.get(claim.id, 0), "an attempt's number came back"
        self.attempts[claim.id] = claim.attempt
        self.believers[claim.id] = claim
        self.known[kind].append(claim)

    def let_go(self, claim: Claim) -> None:
        if self.believers.get(claim.id) == claim:
            del self.believers[claim.id]

    def learn(self, claim: Claim, signals: jobs.Signals) -> None:
        if signals.lost:
            assert self.believers.get(claim.id) != claim, "a live lease was taken away"
        else:
            self.believers[claim.id] = claim

    def age(self, table: type[Job | Chunk], claim: Claim) -> None:
        """Let a lease's time pass without a beat."""
        past = update(table).where(table.id == claim.id, table.lease_expires_at.is_not(None))
        with self.database.transaction() as session:
            session.execute(past.values(lease_expires_at=now(-1)))
        self.believers.pop(claim.id, None)

    # --- a worker's deeds ---

    def deliver(self, job_id: str, number: int) -> None:
        with self.database.transaction() as session:
            job = jobs.claim(session, job_id, WORKERS[number], LEASE)
        if job is not None:
            self.believe(Claim(job_id, job.attempt, WORKERS[number], job), "claims")

    def beat(self, claim: Claim, _number: int) -> None:
        with self.late(claim) as session:
            signals = jobs.beat(session, claim.id, claim.attempt, LEASE)
        self.learn(claim, signals)

    def leave_cancelled(self, claim: Claim, _number: int) -> None:
        with self.late(claim) as session:
            if jobs.signals(session, claim.id, claim.attempt).cancel:
                assert jobs.move(session, claim.id, JobStatus.CANCELLED, attempt=claim.attempt, worker=claim.worker)
                self.let_go(claim)

    def fail(self, claim: Claim, _number: int) -> None:
        with self.late(claim) as session:
            jobs.fail(session, claim.id, claim.attempt, NanLoss())
        self.let_go(claim)

    def retry(self, claim: Claim, _number: int) -> None:
        with self.late(claim) as session:
            jobs.retry(session, claim.work, GpuOutOfMemory())
        self.let_go(claim)

    def give_back(self, claim: Claim, _number: int) -> None:
        with self.late(claim) as session:
            given = jobs.give_back(session, claim.id, claim.attempt, "worker_stopping")
        if given:
            self.let_go(claim)

    def lapse(self, claim: Claim, _number: int) -> None:
        self.age(Job, claim)

    # --- a dispatcher's, and a user's ---

    def look_for_silent(self, _claim: Claim, _number: int) -> None:
        with self.database.reading() as session:
            self.known["silent"] += sorted(jobs.expired(session), key=lambda job: job.age)

    def recover(self, job: Job, _number: int) -> None:
        with self.database.transaction() as session:
            jobs.recover(session, job)

    def look_for_unwoken(self, _job_id: str, _number: int) -> None:
        with self.database.reading() as session:
            self.known["unwoken"].append([job.id for job in jobs.unsent(session, 60)])

    def mark_sent(self, job_ids: list[str], _number: int) -> None:
        with self.database.transaction() as session:
            jobs.mark_sent(session, job_ids)

    def cancel(self, job_id: str, _number: int) -> None:
        with self.database.transaction() as session:
            jobs.request_cancel(session, job_id)

    # --- the end ---

    def work(self, job_id: str) -> None:
        with self.database.transaction() as session:
            job = jobs.claim(session, job_id, "honest", LEASE)
            assert job is not None, "woken, but not to be had"
            assert jobs.finish(session, job_id, job.attempt, {})

    def pass_time(self) -> None:
        self.believers.clear()
        with self.database.transaction() as session:
            for table in (Job, Chunk):
                held = update(table).where(table.lease_expires_at.is_not(None))
                session.execute(held.values(lease_expires_at=now(-1)))
                sent = update(table).where(table.status == JobStatus.QUEUED, table.sent_at.is_not(None))
                session.execute(sent.values(sent_at=now(-LEASE)))

    def go_round(self) -> None:
        """An hour passes; a dispatcher ticks; an honest worker does what is there."""
        self.pass_time()
        with self.database.transaction() as session:
            for job in jobs.expired(session):
                jobs.recover(session, job)
        with self.database.reading() as session:
            waiting = [job.id for job in jobs.unsent(session, 60)]
        for job_id in waiting:
            self.work(job_id)

    def teardown(self) -> None:
        """Drive everything to its end, unless a step has failed already."""
        if not self.well:
            return
        for _ in range(ROUNDS):
            self.go_round()
            self.all_is_well()
        left = {row["id"]: row["status"] for row in self.seen.jobs.values() if row["status"] not in TERMINAL}
        assert not left, f"never ends: {left}"


class TrainingMachine(JobMachine):
    deeds = JobMachine.deeds | {"finish": "claims", "request_finish": "made"}

    def finish(self, claim: Claim, _number: int) -> None:
        with self.late(claim) as session:
            done = jobs.finish(session, claim.id, claim.attempt, {"by": claim.attempt})
        assert done or self.believers.get(claim.id) != claim, "good work was refused"
        self.let_go(claim)

    def request_finish(self, job_id: str, _number: int) -> None:
        with self.database.transaction() as session:
            jobs.request_finish(session, job_id)


# --- batches ---------------------------------------------------------------------------------------------------------


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
        "plan": "claims",
        "deliver_chunk": "made",
        "beat_chunk": "parts",
        "finish_chunk": "parts",
        "fail_chunk": "parts",
        "retry_chunk": "parts",
        "give_back_chunk": "parts",
        "leave_cancelled_chunk": "parts",
        "abort": "parts",
        "lapse_chunk": "parts",
        "look_for_silent_chunks": "parts",
        "recover_chunk": "silent_parts",
        "look_for_unwoken_chunks": "made",
        "mark_chunks_sent": "unwoken_parts",
        "delete_model": "parts",
    }

    def create_with_files(self, _service: str, number: int) -> None:
        with self.database.transaction() as session:
            model_id = session.scalar(select(Model.id))
            job = jobs.create(session, self.kind, request={}, max_attempts=3 - number, model_id=model_id)
            self.cut(session, job, (2, 3, 1)[number], 1 + number)
        self.known["made"].append(job.id)

    def cut(self, session: Session, job: Job, images: int, chunk_images: int) -> None:
        batches.add_items(session, job.id, [{"custom_id": f"{n}.jpg", "sha256": None} for n in range(images)])
        batches.cut(session, job, images, chunk_images, job.max_attempts)

    # --- a worker's deeds ---

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
        for chunk in self.seen.chunks_of(job_id, "running"):
            self.believers.pop(chunk["id"], None)

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
            self.known["unwoken_parts"].append([chunk.id for chunk in batches.unsent_chunks(session, 60)])

    def mark_chunks_sent(self, chunk_ids: list[str], _number: int) -> None:
        with self.database.transaction() as session:
            batches.mark_chunks_sent(session, chunk_ids)

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
            for chunk in batches.unsent_chunks(session, 60):
                work = batches.claim_chunk(session, chunk.id, "honest", LEASE)
                assert work is not None, "woken, but not to be had"
                assert batches.finish_chunk(session, work.chunk, answers(work, 0))


# --- runs ------------------------------------------------------------------------------------------------------------


def run(machine: type[JobMachine], database: Database, examples: int) -> None:
    """Run on SQLite in full, on PostgreSQL (where every transaction is a journey) in a shorter form."""
    few = settings(
        max_examples=examples if database.engine.dialect.name == "sqlite" else examples // 4,
        stateful_step_count=40,
        report_multiple_bugs=False,
        deadline=None,  # a step is several transactions; a slow disk is no fault of the code
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],  # a step is I/O, and there are many
    )
    run_state_machine_as_test(lambda: machine(database), settings=few)


def test_jobs_keep_their_promises_in_any_order(database):
    run(TrainingMachine, database, 40)


def test_batches_keep_their_promises_in_any_order(database):
    run(BatchMachine, database, 60)


@pytest.mark.parametrize(
    "deeds",
    [
        "create deliver lapse look_for_silent recover fail",
        "create deliver give_back fail",
        "create look_for_unwoken cancel mark_sent",
        "create deliver cancel plan",
        "create deliver plan deliver_chunk retry finish_chunk",
        "create deliver plan deliver_chunk beat lapse look_for_silent recover finish_chunk",
        "create_with_files deliver_chunk cancel give_back_chunk",
        "create_with_files deliver_chunk cancel retry_chunk",
        "create_with_files deliver_chunk abort",
        "create_with_files:2 deliver_chunk lapse_chunk look_for_silent_chunks beat_chunk recover_chunk",
        "create_with_files look_for_unwoken_chunks cancel mark_chunks_sent",
    ],
)
def test_orders_that_once_broke_a_promise(database, deeds):
    machine = BatchMachine(database)
    for step in deeds.split():
        deed, _, number = step.partition(":")
        if deed in machine.possible():
            machine.act(deed, 0, int(number or 0))
            machine.all_is_well()
    machine.teardown()
