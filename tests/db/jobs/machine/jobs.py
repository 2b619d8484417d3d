"""What every kind of job goes through, and what trainings do beside."""

from typing import ClassVar

from db.clock import now
from db.jobs import jobs, leases, scheduling
from db.models import Job
from tests.db.jobs.machine.base import DEADLINE, LEASE, WORKERS, Claim, Machine
from tests.requests import BLANK
from tsukiji.errors import GpuOutOfMemory, NanLoss
from tsukiji.jobs import QUEUE_OF, JobKind, JobStatus


class JobMachine(Machine):
    kind = JobKind.TRAINING
    deeds: ClassVar[dict[str, str]] = Machine.deeds | {
        "create": "service",
        "deliver": "made",
        "beat": "claims",
        "leave_cancelled": "claims",
        "fail": "claims",
        "retry": "claims",
        "give_back": "claims",
        "lapse": "claims",
        "drop": "claims",
        "look_for_silent": "claims",
        "recover": "silent",
        "look_for_overdue": "made",
        "expire": "overdue",
        "cancel": "made",
    }

    def create(self, _service: str, number: int) -> None:
        """Accept a job; with `number` 2, one that has to be done soon."""
        with self.database.transaction() as session:
            deadline = {"deadline_at": now(DEADLINE)} if number == 2 else {}
            job = jobs.create(session, self.kind, request=BLANK[self.kind], max_attempts=number + 1, **deadline)
        self.known["made"].append(job.id)

    # --- a worker's deeds ---

    def deliver(self, job_id: str, number: int) -> None:
        with self.database.transaction() as session:
            job = leases.claim(session, Job, job_id, WORKERS[number], LEASE)
        if job is not None:
            self.believe(Claim(job_id, job.attempt, WORKERS[number], job), "claims")

    def beat(self, claim: Claim, _number: int) -> None:
        with self.late(claim) as session:
            signals = leases.beat(session, claim.work, LEASE)
        self.learn(claim, signals)

    def leave_cancelled(self, claim: Claim, _number: int) -> None:
        with self.late(claim) as session:
            if leases.signals(session, claim.work).cancel:
                assert jobs.move(session, claim.id, JobStatus.CANCELLED, attempt=claim.attempt, worker=claim.worker)
                self.let_go(claim)

    def fail(self, claim: Claim, _number: int) -> None:
        with self.late(claim) as session:
            leases.fail(session, claim.work, NanLoss())
        self.let_go(claim)

    def retry(self, claim: Claim, _number: int) -> None:
        with self.late(claim) as session:
            leases.retry(session, claim.work, GpuOutOfMemory())
        self.let_go(claim)

    def give_back(self, claim: Claim, _number: int) -> None:
        with self.late(claim) as session:
            given = leases.give_back(session, claim.work, "worker_stopping")
        if given:
            self.let_go(claim)

    def drop(self, claim: Claim, _number: int) -> None:
        """The work hangs: its worker gives it up."""
        with self.late(claim) as session:
            leases.drop(session, claim.work, "stalled")
        self.let_go(claim)

    def lapse(self, claim: Claim, _number: int) -> None:
        self.age(Job, claim)

    # --- a dispatcher's, and a user's ---

    def look_for_silent(self, _claim: Claim, _number: int) -> None:
        with self.database.reading() as session:
            self.known["silent"] += sorted(leases.expired(session), key=lambda work: (leases.job_of(work), work.id))

    def recover(self, job: Job, _number: int) -> None:
        with self.database.transaction() as session:
            leases.recover(session, job)

    def look_for_overdue(self, _job_id: str, _number: int) -> None:
        with self.database.reading() as session:
            self.known["overdue"] += sorted(jobs.overdue(session), key=lambda job: job.age)

    def expire(self, job: Job, _number: int) -> None:
        with self.database.transaction() as session:
            ended = jobs.expire(session, job)
        if ended:
            self.forget(job.id)

    def cancel(self, job_id: str, _number: int) -> None:
        with self.database.transaction() as session:
            jobs.request_cancel(session, job_id)

    # --- the end ---

    def work(self, job_id: str) -> None:
        with self.database.transaction() as session:
            job = leases.claim(session, Job, job_id, "honest", LEASE)
            assert job is not None, "woken, but not to be had"
            assert jobs.finish(session, job, {})

    def go_round(self) -> None:
        self.pass_time()
        with self.database.transaction() as session:
            for job in jobs.overdue(session):
                jobs.expire(session, job)
            for job in leases.expired(session):
                leases.recover(session, job)
        with self.database.reading() as session:
            waiting = scheduling.waiting(session, QUEUE_OF[self.kind], 500)
        for job_id in waiting:
            self.work(job_id)


class TrainingMachine(JobMachine):
    deeds = JobMachine.deeds | {"finish": "claims", "request_finish": "made"}

    def finish(self, claim: Claim, _number: int) -> None:
        with self.late(claim) as session:
            done = jobs.finish(session, claim.work, {"by": claim.attempt})
        assert done or self.believers.get(claim.id) != claim, "good work was refused"
        self.let_go(claim)

    def request_finish(self, job_id: str, _number: int) -> None:
        with self.database.transaction() as session:
            jobs.request_finish(session, job_id)
