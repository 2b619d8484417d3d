"""How the machines are played: drawing deeds, remembering claims, moving the clock, checking promises."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from sqlalchemy import delete, update

from db.clock import now
from db.jobs.leases import Signals
from db.models import Chunk, Job, Model
from db.session import Database, Session
from tests.db.jobs.machine.clock import Clock
from tests.db.jobs.machine.picture import look
from tests.db.jobs.machine.promises import (
    HELD,
    check_batch,
    check_chunk,
    check_counts,
    check_job,
    check_step,
    check_unplanned,
)
from tsukiji.jobs import TERMINAL

LEASE = 3600
DAY = 86400
DEADLINE = 5000
JUMPS = (-2 * LEASE, 701, 2 * LEASE)
"""Seconds. No sum of a few of them comes near the length of a lease."""
ROUNDS = 4
"""Honest rounds until everything has ended: recover and plan, take the chunks, and two to spare."""
OFTEN = {"deliver", "deliver_chunk", "take_turn", "read_page", "plan"}
SELDOM = {"create", "cancel", "fail", "leave_cancelled", "request_finish", "abort", "delete_model", "fail_chunk"}
WORKERS = ["w1", "w2", "w3"]


@dataclass(frozen=True)
class Claim:
    """What a worker remembers of its claim."""

    id: str
    attempt: int
    worker: str
    work: Any


class Machine(RuleBasedStateMachine):
    """Draws deeds, remembers who believes to hold what, and looks at everything after each.

    One rule draws the deed: of several rules Hypothesis leaves out some in each example, often the one that claims.
    """

    deeds: ClassVar[dict[str, str]] = {"jump": "service"}
    """What can be done -> to which of the things that are known."""

    def __init__(self, database: Database, clock: Clock) -> None:
        super().__init__()
        self.database, self.clock = database, clock
        self.clock.ahead = self.furthest = 0
        self.known: dict[str, list[Any]] = defaultdict(list, service=["service"])
        self.believers: dict[str, Claim] = {}
        self.until: dict[str, float] = {}
        self.attempts: dict[str, int] = {}
        with database.transaction() as session:
            session.execute(delete(Job))
            session.execute(delete(Model))
            session.add(Model(id="mdl", name="m", backbone="b", label_names=[], recipe={}, bytes=0))
        self.seen = look(database)
        self.well = True

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
            check_counts(self.seen, row)
            if row["planned"]:
                check_batch(self.seen, row)
            else:
                check_unplanned(self.seen, row)
                self.give_up(row)
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
        self.hold(claim)
        self.known[kind].append(claim)

    def let_go(self, claim: Claim) -> None:
        if self.believers.get(claim.id) == claim:
            del self.believers[claim.id]

    def forget(self, job_id: str) -> None:
        """Nobody's claim to a job or its chunks counts any more: it was ended for all."""
        for work_id in [job_id, *(chunk["id"] for chunk in self.seen.chunks_of(job_id, "running"))]:
            self.believers.pop(work_id, None)

    def give_up(self, row: dict[str, Any]) -> None:
        """A job that ends before it is planned ends its chunks too, regardless of their owners."""
        if row["status"] in TERMINAL:
            for chunk in self.seen.chunks_of(row["id"], "cancelled", "expired"):
                self.believers.pop(chunk["id"], None)

    def learn(self, claim: Claim, signals: Signals) -> None:
        if signals.lost:
            assert self.believers.get(claim.id) != claim, "a live lease was taken away"
        else:
            self.hold(claim)

    def hold(self, claim: Claim) -> None:
        self.believers[claim.id] = claim
        self.until[claim.id] = self.clock.ahead + LEASE

    def age(self, table: type[Job | Chunk], claim: Claim) -> None:
        """Let a lease's time pass without a beat."""
        past = update(table).where(table.id == claim.id, table.lease_expires_at.is_not(None))
        with self.database.transaction() as session:
            session.execute(past.values(lease_expires_at=now(-1)))
        self.believers.pop(claim.id, None)

    def jump(self, _service: str, number: int) -> None:
        """Set the database's clock back or forward. Nobody's lease ends by that unless the clock has passed its end."""
        self.clock.ahead += JUMPS[number]
        self.furthest = max(self.furthest, self.clock.ahead)
        self.believers = {work: claim for work, claim in self.believers.items() if self.until[work] > self.clock.ahead}

    # --- the end ---

    def pass_time(self) -> None:
        """Wait until every lease has run out and every message counts as lost, after all jumps of the clock."""
        self.clock.ahead = self.furthest = self.furthest + 2 * LEASE
        self.believers.clear()

    def go_round(self) -> None:
        """Time passes; a dispatcher ticks; an honest worker does what is there."""
        raise NotImplementedError

    def teardown(self) -> None:
        """Drive everything to its end, unless a step has failed already."""
        if not self.well:
            return
        for _ in range(ROUNDS):
            self.go_round()
            self.all_is_well()
        left = {row["id"]: row["status"] for row in self.seen.jobs.values() if row["status"] not in TERMINAL}
        assert not left, f"never ends: {left}"
