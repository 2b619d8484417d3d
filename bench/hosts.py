"""A service on three hosts, one of them lost: every accepted job must finish exactly once.

`python -m bench.hosts [--jobs 100] [--cut 60] [--lease SECONDS] [--seed S] [--json]`, as root on Linux. Hosts are
network namespaces: `services` has PostgreSQL, Redis and an S3-compatible server, `one` the API and a worker of each
queue, `two` two workers. While users submit jobs, each link is cut, one is slowed, and `two` is lost in the middle of
a training and of a batch: its link is cut, then its programs are killed, so that the database keeps half-open
connections. `recovery_seconds`: from that until other hosts have claimed all its work. Exit status 1 if anything is
lost, stuck, wrong or duplicated.
"""

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import structlog

from bench.faulting.checker import Checker
from bench.faulting.load import Users
from bench.faulting.programs import LEASE_SECONDS
from bench.faulting.schedule import Recoveries
from bench.faults import leave, lines_of, teach
from bench.hosting.machines import CREDENTIALS, PORT, Machine, services
from bench.hosting.network import Host, NamespacesMissing, network
from bench.report import show
from db import keys
from db.session import Database
from db.upgrade import upgrade
from tsukiji.kernel import log
from tsukiji.kernel.settings import LogSettings

STEP_SECONDS: Final = 0.1
QUIET_SECONDS: Final = 15.0
"""Between two faults: what one left is done before the next."""
SLOW_SECONDS: Final = 20
AWAY_SECONDS: Final = 30
AIM_SECONDS: Final = 120
DRAIN_SECONDS: Final = 300
ROLL_CALL_SECONDS: Final = 120
SHOWN: Final = 20
QUICK_JOBS: Final = 15
QUICK_CUT: Final = 8.0
QUICK_QUIET: Final = 3.0

logger = structlog.get_logger(__name__)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=100, help="how many are accepted at least")
    parser.add_argument("--cut", type=float, default=60, help="seconds for which each link is cut")
    parser.add_argument("--lease", type=float, default=LEASE_SECONDS, help="seconds; the product's default is 30")
    parser.add_argument("--seed", type=int, default=0, help="of the load")
    parser.add_argument("--folder", type=Path, help="an empty folder that keeps the logs; temporary by default")
    parser.add_argument("--quick", action="store_true", help="few jobs, short cuts: shows that it works")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, leave)
    log.configure(LogSettings(level="warning" if options.quick else "info"), "hosts")
    if options.quick:
        options.jobs, options.cut = min(options.jobs, QUICK_JOBS), min(options.cut, QUICK_CUT)
    try:
        figures, problems = run(options)
    except NamespacesMissing as error:
        print(f"LEFT OUT: {error}", file=sys.stderr)
        sys.exit(0 if options.quick else 1)
    for problem in problems[:SHOWN]:
        print(problem, file=sys.stderr)
    show("a service on three hosts", figures, as_json=options.json)
    sys.exit(1 if problems else 0)


def run(options: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    """Return the figures, and a line for each broken promise."""
    os.environ |= CREDENTIALS
    with ExitStack() as cleanup:
        home = options.folder or Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="tsukiji-hosts-")))
        servers, *others = cleanup.enter_context(network("services", "one", "two"))
        settings = cleanup.enter_context(services(servers, home))
        upgrade(settings)
        database = Database(settings)
        cleanup.callback(database.close)
        with database.transaction() as session:
            _, key = keys.create(session, "hosts")
        machines = [Machine.of(host, home, settings, options.lease) for host in others]
        for machine in machines:
            cleanup.callback(machine.stop)
            machine.start()
        url = f"http://{others[0].address}:{PORT}"
        lesson = teach(url, key, home / "lesson", settings.outputs.allowed[0])
        users = Users(url, key, options.seed, lesson)
        cleanup.callback(users.close)
        quiet = QUICK_QUIET if options.quick else QUIET_SECONDS
        story = Story(machines, servers, Recoveries(database), options.cut, quiet)
        suffer(users, story, options.jobs)
        deaf = call_roll(machines, users)
        with database.reading() as session:
            verdict = Checker(session, settings).check(users.accepted)
    verdict.twice += users.twice
    verdict.wrong += users.unanswered
    verdict.deaf = deaf
    lists = {name: len(found) for name, found in asdict(verdict).items() if isinstance(found, list)}
    seconds = story.recoveries.seconds
    figures = {
        "accepted": len(users.accepted),
        "finished": verdict.finished,
        **lists,
        "recovery_seconds": max(seconds, default=None),
        "recovered": len(seconds),
        "recovery_target_seconds": options.lease + 5,
        "in_the_middle_of": story.interrupted,
        "told": story.told,
        "cut_seconds": options.cut,
        "lease_seconds": options.lease,
        "seeds": [options.seed],
        "runs": 1,
    }
    problems = lines_of(verdict)
    if story.interrupted != ["batch", "training"]:
        problems.append(f"the host was lost in the middle of {story.interrupted}, not of a batch and of a training")
    return figures, problems


@dataclass
class Story:
    """What happens to the hosts, one thing after the other; call `step` repeatedly."""

    machines: list[Machine]
    servers: Host
    recoveries: Recoveries
    cut: float
    quiet: float
    told: dict[str, float] = field(default_factory=dict)
    """What happened, and for how many seconds."""
    interrupted: list[str] = field(default_factory=list)
    """Kinds of the work that the lost host had."""

    def __post_init__(self) -> None:
        self._pauses = self._tell()
        self._due = 0.0
        self.over = False

    def step(self) -> None:
        """Let the next thing happen when its time has come."""
        for machine in self.machines:
            machine.revive()
        self.recoveries.look()
        if not self.over and time.monotonic() >= self._due:
            pause = next(self._pauses, None)
            self.over = pause is None
            self._due = time.monotonic() + (pause or 0)

    def _tell(self) -> Iterator[float]:
        """Yield the seconds until the next thing."""
        one, two = self.machines
        yield self.quiet
        yield from self._during("slow two", SLOW_SECONDS, two.host.slow, two.host.quicken)
        yield from self._during("cut two", self.cut, two.host.cut, two.host.join)
        yield from self._during("cut one", self.cut, one.host.cut, one.host.join)
        yield from self._during("cut services", self.cut, self.servers.cut, self.servers.join)
        deadline = time.monotonic() + AIM_SECONDS
        while len(held := self._held(two)) < 2 and time.monotonic() < deadline:
            yield STEP_SECONDS
        self.interrupted = sorted({"training" if role == "train" else "batch" for role in held})
        lost_at = time.monotonic()
        yield from self._during("lose two", AWAY_SECONDS, two.lose, two.come_back, lambda: self._note(held, lost_at))

    def _during(
        self,
        name: str,
        seconds: float,
        begin: Callable[[], None],
        end: Callable[[], None],
        then: Callable[[], None] = lambda: None,
    ) -> Iterator[float]:
        logger.info("fault", name=name, seconds=seconds)
        begin()
        then()
        yield seconds
        end()
        self.told[name] = seconds
        yield self.quiet

    def _held(self, machine: Machine) -> dict[str, dict[str, int]]:
        """Return what each worker of a host holds, by its role."""
        found = {program.role: self.recoveries.held_by(program.worker) for program in machine.programs}
        return {role: held for role, held in found.items() if held}

    def _note(self, held: dict[str, dict[str, int]], at: float) -> None:
        for role, work in held.items():
            self.recoveries.note(work, at, role)


def suffer(users: Users, story: Story, jobs: int) -> None:
    """Go on until the story is over and enough jobs are accepted, then let everything finish."""
    users.start()
    while not story.over or len(users.accepted) < jobs:
        story.step()
        time.sleep(STEP_SECONDS)
    users.finish(DRAIN_SECONDS)
    while users.busy:
        story.step()
        time.sleep(STEP_SECONDS)


def call_roll(machines: list[Machine], users: Users) -> list[str]:
    """Return what is unfinished with the workers of each host alone: those of another would hide deaf ones."""
    deaf = []
    for alone in machines:
        resting = [
            program
            for machine in machines
            if machine is not alone
            for program in machine.programs
            if program.role in {"train", "infer"}
        ]
        for program in resting:
            program.freeze()
        deaf += [
            f"{kind}: not done within {ROLL_CALL_SECONDS} s by {alone.host.name}"
            for kind in users.try_out(ROLL_CALL_SECONDS)
        ]
        for program in resting:
            program.thaw()
    return deaf


if __name__ == "__main__":
    main()
