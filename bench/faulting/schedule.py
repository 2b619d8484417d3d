"""Seeded faults, dealt from a shuffled deck, and the time until interrupted work is claimed again."""

import random
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog
from sqlalchemy import select, text

from bench.faulting.load import Users
from bench.faulting.programs import Program, Stack, send
from db.models import Chunk, Job
from db.session import Database
from tsukiji.jobs import JobStatus, Queue
from tsukiji.kernel.queue import Notifier

log = structlog.get_logger(__name__)

GAP_SECONDS: Final = (1.5, 5.5)
"""Between two faults: a worker that imports torch restarts within some seconds, and may be hit before."""
FREEZE_SECONDS: Final = 3
"""How long a program is frozen, beyond its lease."""
AIM_SECONDS: Final = 2
AIMED: Final = 0.75
COPIES: Final = 20
AWAY_SECONDS: Final = (0, 3)
LOCKED_SECONDS: Final = (2, 6)
ACTIVE: Final = (JobStatus.QUEUED, JobStatus.RUNNING)
DECK: Final = {
    "kill_worker": 4,
    "kill_child": 3,
    "kill_dispatcher": 2,
    "kill_api": 2,
    "freeze_worker": 2,
    "repeat_messages": 2,
    "lose_messages": 1,
    "lock_storage": 1,
}
JUMP_SECONDS: Final = (-60, 60)
"""Many leases, and few enough that work which waits for a later time by a wrong clock is done in the end."""
KILLS: Final = {"kill_worker": 4, "kill_child": 3}
OF_ALL: Final = {
    *("lose_messages", "lock_storage", "restart_broker", "restart_database", "cut_database"),
    *("fill_disk", "cut_link", "jump_clock"),
}
WORKERS: Final = ("train", "infer", "infer", "intake")


@dataclass(frozen=True)
class Hit:
    """Work whose worker was killed."""

    attempt: int
    at: float
    role: str
    """Of the workers that can take it."""


class Recoveries:
    """Watches the rows until a dead worker's work is claimed again.

    `alone`: the seconds of recoveries without another fault of the dispatcher, a server or a worker of that role.
    """

    def __init__(self, database: Database) -> None:
        self.seconds: list[float] = []
        self.alone: list[float] = []
        self._disturbed: set[str] = set()
        self._database = database
        self._hits: dict[str, Hit] = {}

    def held_by(self, worker: str) -> dict[str, int]:
        """Return the attempt, by id, of the jobs and chunks held by a worker."""
        with self._database.reading() as session:
            return {
                row.id: row.attempt
                for table in (Job, Chunk)
                for row in session.execute(
                    select(table.id, table.attempt).where(
                        table.lease_owner == worker, table.status == JobStatus.RUNNING
                    )
                )
            }

    def note(self, held: dict[str, int], at: float, role: str) -> None:
        """Record what a killed worker held."""
        self.disturb(role)
        self._disturbed -= held.keys()
        self._hits |= {row_id: Hit(attempt, at, role) for row_id, attempt in held.items()}

    def disturb(self, role: str | None = None) -> None:
        """Record a fault of workers of a role, or (None) of something that all need."""
        everybody = role is None or role == "dispatcher"
        self._disturbed |= {row_id for row_id, hit in self._hits.items() if everybody or hit.role == role}

    @property
    def waits(self) -> bool:
        """Return whether some interrupted work has not been claimed again."""
        return bool(self._hits)

    def look(self) -> None:
        if not self._hits:
            return
        with self._database.reading() as session:
            rows = [
                row
                for table in (Job, Chunk)
                for row in session.execute(
                    select(table.id, table.attempt, table.status).where(table.id.in_(self._hits))
                )
            ]
        for row in rows:
            hit = self._hits[row.id]
            if row.attempt > hit.attempt:
                seconds = time.monotonic() - hit.at
                self.seconds.append(seconds)
                if row.id not in self._disturbed:
                    self.alone.append(seconds)
            if row.attempt > hit.attempt or row.status not in ACTIVE:
                del self._hits[row.id]


class Faults:
    """Deals one fault after the other; call `step` repeatedly.

    `patient`: kill only busy workers, and only after the work of the last victim was claimed again.
    """

    def __init__(
        self, stack: Stack, users: Users, database: Database, notifier: Notifier, seed: int, *, patient: bool = False
    ) -> None:
        self.kills = 0
        self.dealt: dict[str, int] = {}
        self.on_fault: Callable[[str], None] = lambda _name: None
        """Applies the same fault to a peer."""
        self.recoveries = Recoveries(database)
        self._stack, self._users, self._database, self._notifier = stack, users, database, notifier
        self._chance = random.Random(seed)
        self._patient = patient
        self._deck: list[str] = []
        self._undo: list[tuple[float, Callable[[], None]]] = []
        self._lasting: set[str] = set()
        self._due = time.monotonic() + self._chance.uniform(*GAP_SECONDS)

    def step(self) -> None:
        """Restore what is due, and apply the next fault when its time has come."""
        self.tend()
        if time.monotonic() < self._due or (self._patient and self.recoveries.waits):
            return
        name = self._deal()
        self.dealt[name] = self.dealt.get(name, 0) + 1
        log.info("fault", name=name)
        if name in OF_ALL:
            self.recoveries.disturb()
        getattr(self, name)()
        self.on_fault(name)
        self._due = time.monotonic() + self._chance.uniform(*GAP_SECONDS)

    def tend(self) -> None:
        self._stack.revive()
        for due in list(self._undo):
            moment, undo = due
            if time.monotonic() >= moment:
                undo()
                self._undo.remove(due)
        self.recoveries.look()

    def end(self) -> None:
        """Undo lasting faults: programs run again, the store accepts bytes."""
        self._undo = [(0, undo) for _, undo in self._undo]
        self.tend()

    @property
    def all_there(self) -> bool:
        return all(program.tree for program in self._stack.programs)

    def _deal(self) -> str:
        """Return the next card: each deck starts with one of every kind, so that a short run covers them all."""
        if not self._deck:
            cards = KILLS if self._patient else DECK | self._servers_deck() | self._machines_deck()
            firsts = list(cards)
            others = [name for name, count in cards.items() for _ in range(count - 1)]
            self._chance.shuffle(firsts)
            self._chance.shuffle(others)
            self._deck = others + firsts
        return self._deck.pop()

    def _servers_deck(self) -> dict[str, int]:
        servers = self._stack.servers
        if servers.broker is None:
            return {}
        database = "cut_database" if servers.postgres is None else "restart_database"
        return {database: 1} | ({"restart_broker": 1} if servers.broker.restartable else {})

    def _machines_deck(self) -> dict[str, int]:
        machines = self._stack.machines
        there = {"fill_disk": machines.disk, "cut_link": machines.hosts, "jump_clock": machines.clocks}
        return {name: 1 for name, found in there.items() if found}

    # --- programs ----------------------------------------------------------------------------------------------------

    def kill_worker(self) -> None:
        self._kill(self._aim())

    def kill_dispatcher(self) -> None:
        self._kill(self._pick("dispatcher"))

    def kill_api(self) -> None:
        self._kill(self._pick("api"))

    def kill_child(self) -> None:
        """Kill the working process, but not its watcher."""
        program = self._aim()
        children = program.children if program else []
        if program is None or not children:
            self._kill(program)
            return
        held = self.recoveries.held_by(program.worker)
        send(signal.SIGKILL, [self._chance.choice(children)])
        self.recoveries.note(held, time.monotonic(), program.role)
        self.kills += 1
        log.info("child_killed", target=program.worker, held=list(held))

    def freeze_worker(self) -> None:
        """Longer than its lease: when it resumes, it still believes that it holds the work."""
        program = self._aim()
        if program is not None:
            program.freeze()
            self.recoveries.disturb(program.role)
            log.info("program_frozen", target=program.worker)
            self._undo.append((time.monotonic() + self._stack.lease + FREEZE_SECONDS, program.thaw))

    def _kill(self, program: Program | None) -> None:
        if program is None:
            return
        held = self.recoveries.held_by(program.worker)
        program.kill()
        self.recoveries.note(held, time.monotonic(), program.role)
        self.kills += 1
        log.info("program_killed", target=program.worker, held=list(held))

    def _pick(self, role: str) -> Program | None:
        programs = self._stack.of(role)
        return self._chance.choice(programs) if programs else None

    def _aim(self) -> Program | None:
        """Choose a worker; mostly wait for a busy one, because jobs are short; in patient mode always."""
        role = self._chance.choice(WORKERS)
        aimed = self._patient or self._chance.random() < AIMED
        deadline = time.monotonic() + (AIM_SECONDS if aimed else 0)
        while time.monotonic() < deadline:
            for program in self._stack.of(role):
                if self.recoveries.held_by(program.worker):
                    return program
            time.sleep(0.01)
        return None if self._patient else self._pick(role)

    # --- messages and servers ----------------------------------------------------------------------------------------

    def repeat_messages(self) -> None:
        """Notify every queue many times, even without work."""
        for queue in Queue:
            self._notifier.notify(queue, COPIES)

    def lose_messages(self) -> None:
        broker = self._stack.servers.broker
        if broker is None:
            shutil.rmtree(self._stack.queue_folder, ignore_errors=True)
        else:
            broker.lose()

    def lock_storage(self) -> None:
        """Make new blobs fail for a while. Root ignores file modes, so the folder is replaced by a file."""
        drafts = self._stack.drafts_folder
        away = drafts.with_name("away")
        if away.exists():
            return

        def unlock() -> None:
            drafts.unlink()
            away.rename(drafts)

        drafts.rename(away)
        drafts.touch()
        self._undo.append((time.monotonic() + self._chance.uniform(*LOCKED_SECONDS), unlock))

    def restart_broker(self) -> None:
        if self._stack.servers.broker is not None:
            self._stack.servers.broker.restart(self._chance.uniform(*AWAY_SECONDS))

    def restart_database(self) -> None:
        if self._stack.servers.postgres is not None:
            self._stack.servers.postgres.restart(self._chance.uniform(*AWAY_SECONDS))

    def cut_database(self) -> None:
        """Do to every connection what a restart of PostgreSQL does."""
        others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        with self._database.reading() as session:
            session.execute(text(f"{others} AND pid <> pg_backend_pid()"))

    # --- machines ----------------------------------------------------------------------------------------------------

    def fill_disk(self) -> None:
        disk = self._stack.machines.disk
        if disk is not None and "fill_disk" not in self._lasting:
            disk.fill()
            self._later("fill_disk", self._chance.uniform(*LOCKED_SECONDS), disk.free)

    def cut_link(self) -> None:
        """Cut a machine off for longer than a lease: when it is back, it still believes that it holds its work."""
        if "cut_link" not in self._lasting:
            host = self._chance.choice(self._stack.machines.hosts)
            host.cut()
            self._later("cut_link", self._stack.lease + FREEZE_SECONDS, host.join)

    def jump_clock(self) -> None:
        """Set the clock of a machine forwards or back, and right again after a while."""
        if "jump_clock" not in self._lasting:
            clock = self._chance.choice(self._stack.machines.clocks)
            clock.set(self._chance.choice(JUMP_SECONDS))
            self._later("jump_clock", self._stack.lease, lambda: clock.set(0))

    def _later(self, name: str, seconds: float, undo: Callable[[], None]) -> None:
        """Undo a fault that must not be dealt again before that."""

        def end() -> None:
            self._lasting.discard(name)
            undo()

        self._lasting.add(name)
        self._undo.append((time.monotonic() + seconds, end))
