"""The programs of a service as child processes that can be killed and frozen one by one. Knows no rows.

A program that dies is restarted after a short pause, like by a container's restart policy. None outlives us: each
watches its standard input, which ends with us, even if we are killed.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog

from bench.faulting.machines import Machines
from bench.faulting.servers import Servers
from devtools.servers import free_port
from worker.services import WORKER_VARIABLE

log = structlog.get_logger(__name__)

ROOT: Final = Path(__file__).parents[2]
RESTART_SECONDS: Final = 0.5
STOP_SECONDS: Final = 20
ROLES: Final = ("dispatcher", "intake", "infer", "train")
PROGRAMS: Final = {
    "embedded": ("api", *ROLES),
    "servers": ("api", *ROLES, *ROLES),
    "rabbitmq": ("api", *ROLES),
}
"""One of each, as in `tsukiji up`; two of each, which compete for work."""
LEASE_SECONDS: Final = 6.0
SETTINGS: Final = {
    "TSUKIJI_JOBS_STOP_SECONDS": "4",
    "TSUKIJI_JOBS_MAX_ATTEMPTS": "100",  # the kills are random, not caused by the work
    "TSUKIJI_JOBS_CHUNK_IMAGES": "6",
    "TSUKIJI_INFERENCE_BATCH_SIZE": "2",
    "TSUKIJI_TRAINING_WORKERS": "0",
    "TSUKIJI_WEIGHTS_DOWNLOAD": "false",
    "TSUKIJI_API_HOST": "127.0.0.1",
    "TSUKIJI_LOG_FORMAT": "json",
}
"""Small chunks, for many claims. Ticks and pauses have their defaults; the lease is an option."""


@dataclass
class Program:
    """One program of the service, across restarts."""

    role: str
    number: int
    environment: dict[str, str]
    log: Path
    prefix: tuple[str, ...] = ()
    """Before its command: where it runs."""
    starts: int = 0
    process: subprocess.Popen[bytes] | None = None
    frozen: list[int] = field(default_factory=list)
    restart_at: float | None = None
    killed: bool = False

    @property
    def worker(self) -> str:
        """Owner of its leases; different after each restart."""
        return f"{self.role}{self.number}@{self.starts}"

    @property
    def command(self) -> list[str]:
        module = ["api"] if self.role == "api" else ["worker", self.role]
        return [sys.executable, "-m", *module, "--watch-stdin"]

    def start(self) -> None:
        self.starts += 1
        self.killed = False
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.prefix, *self.command],
                cwd=ROOT,
                env=self.environment | {WORKER_VARIABLE: self.worker},
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.restart_at = None

    @property
    def is_new_dead(self) -> bool:
        """Return whether it died since the last check."""
        return self.process is not None and self.process.poll() is not None and self.restart_at is None

    def revive(self) -> bool:
        """Restart it if it died a while ago; returns whether it did."""
        if self.process is None or self.process.poll() is None:
            return False
        if self.restart_at is None:
            log.info("program_died", target=self.worker, killed=self.killed, status=self.process.returncode)
            self.restart_at = time.monotonic() + RESTART_SECONDS
        if time.monotonic() < self.restart_at:
            return False
        self._close()
        self.start()
        return True

    @property
    def children(self) -> list[int]:
        return [] if self.process is None else descendants(self.process.pid)

    @property
    def tree(self) -> list[int]:
        """The process and all its descendants, including those in sessions of their own."""
        return [] if self.process is None or self.process.poll() is not None else [*self.children, self.process.pid]

    def kill(self) -> None:
        """Kill it like the loss of its machine or container."""
        self.killed = True
        send(signal.SIGKILL, self.tree)
        if self.process is not None:
            self.process.wait()
        self.frozen = []

    def freeze(self) -> None:
        self.frozen = self.tree
        send(signal.SIGSTOP, self.frozen)

    def thaw(self) -> None:
        send(signal.SIGCONT, self.frozen)
        self.frozen = []

    def stop(self, deadline: float) -> None:
        """Wait for the end requested by SIGTERM, then kill what is left."""
        if self.process is None:
            return
        below = self.children
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(max(0.1, deadline - time.monotonic()))
        self.kill()
        send(signal.SIGKILL, [pid for pid in below if pid in table()])
        self._close()

    def _close(self) -> None:
        if self.process is not None and self.process.stdin:
            self.process.stdin.close()


class Stack:
    """All programs of one service, its servers, and the folders of messages and bytes."""

    def __init__(
        self,
        folder: Path,
        kind: str,
        servers: Servers,
        lease: float = LEASE_SECONDS,
        machines: Machines | None = None,
    ) -> None:
        self.servers = servers
        self.machines = machines or Machines()
        self.lease = lease
        self.on_death: Callable[[str], None] = lambda _worker: None
        """What a supervisor does when a worker dies, besides restarting it."""
        self.restarts = 0
        self.died = 0
        """How many had died by themselves."""
        self.port = free_port()
        self.url = f"http://{self.machines.address}:{self.port}"
        self.queue_folder = folder / "data" / "queue"
        self.drafts_folder = folder / "data" / "blobs" / "tmp"
        """Every blob is written here first."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TSUKIJI_")}
        environment = inherited | SETTINGS | servers.places
        environment |= {"TSUKIJI_JOBS_LEASE_SECONDS": str(lease), "TSUKIJI_JOBS_BEAT_SECONDS": str(lease / 3)}
        environment |= {"TSUKIJI_DATA_DIR": str(folder / "data"), "TSUKIJI_API_PORT": str(self.port)}
        environment |= {"TSUKIJI_OUTPUTS_ALLOWED": json.dumps([results_of(folder)])}
        if self.machines.hosts:
            environment |= {"TSUKIJI_API_HOST": self.machines.address, "TSUKIJI_API_PROXIES": '["10.0.0.0/8"]'}
            environment |= {"TSUKIJI_API_ALLOWED_HOSTS": f'["{self.machines.address}"]'}
        self.programs = [
            Program(
                role,
                number,
                environment | self.machines.environment(machine),
                folder / f"{role}{number}.log",
                self.machines.prefix(machine),
            )
            for number, role in enumerate(PROGRAMS[kind])
            for machine in [0 if number <= len(ROLES) else 1]
        ]
        """The first of each role are on one machine, with the API; the second, where there are any, on another."""

    def start(self) -> None:
        for program in self.programs:
            program.start()

    def revive(self) -> None:
        for program in self.programs:
            killed, dead = program.killed, program.worker
            if program.is_new_dead:
                self.on_death(dead)
            if program.revive():
                self.restarts += 1
                self.died += not killed

    def of(self, *roles: str) -> list[Program]:
        """Return the programs of these roles that run and are not frozen."""
        return [program for program in self.programs if program.role in roles and program.tree and not program.frozen]

    def shifts(self) -> Iterator[list[Program]]:
        """Let one worker of each role work at a time, with the others frozen; yields those that work."""
        workers = [program for program in self.programs if program.role != "api"]
        for first in range(0, len(workers), len(ROLES)):
            shift = workers[first : first + len(ROLES)]
            for program in workers:
                if program not in shift:
                    program.freeze()
            yield shift
            for program in workers:
                program.thaw()

    def stop(self) -> None:
        for program in self.programs:
            program.thaw()
            if program.process is not None and program.process.poll() is None:
                program.process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for program in self.programs:
            program.stop(deadline)


def results_of(folder: Path) -> str:
    """Return the URL of the folder that batches may write parts to."""
    return f"file://{folder}/results"


def send(number: signal.Signals, pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def descendants(pid: int) -> list[int]:
    below: dict[int, list[int]] = {}
    for child, parent in table().items():
        below.setdefault(parent, []).append(child)
    found: list[int] = []
    todo = [pid]
    while todo:
        children = below.get(todo.pop(), [])
        found += children
        todo += children
    return found


def table() -> dict[int, int]:
    """Return every living process with its parent."""
    lines = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,stat="], capture_output=True, text=True, check=True).stdout
    rows = (line.split() for line in lines.splitlines())
    return {int(pid): int(parent) for pid, parent, state in rows if not state.startswith("Z")}
