"""A service under faults: every accepted job must finish exactly once, whatever dies meanwhile.

`python -m bench.faults --minutes M --seed S --stack STACK [--machines] [--json]` runs the programs of a service under
load from simulated users, applies a seeded schedule of faults to them and their servers, lets the work finish, and
compares all results with rows and blobs. Exit status 1 if anything is lost, stuck, wrong or duplicated. `celery` is
`servers` with a peer, plain Celery workers on the same Redis under the same faults: `peer_lost` and `peer_twice` count
its tasks; `celery-rabbitmq` is the same on RabbitMQ. With `--machines`, as root, the disk fills up too, links between
hosts are cut (`servers`), and clocks are wrong.
"""

import argparse
import hashlib
import os
import random
import re
import signal
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, Final

from bench.faulting.celery_peer import Peer
from bench.faulting.checker import Checker, Verdict
from bench.faulting.load import PER_CLASS, RECIPE, Lesson, Users, make_pictures
from bench.faulting.machines import Machines, machines
from bench.faulting.programs import LEASE_SECONDS, PROGRAMS, Stack, results_of
from bench.faulting.schedule import Faults
from bench.faulting.servers import servers
from bench.report import show
from db import keys
from db.session import Database
from db.upgrade import upgrade
from tsukiji import Client
from tsukiji.kernel import log
from tsukiji.kernel.queue import Notifier, create_app
from tsukiji.kernel.settings import (
    BrokerSettings,
    DatabaseSettings,
    DataSettings,
    LogSettings,
    OutputSettings,
    Settings,
)
from worker.supervisor import release

STEP_SECONDS: Final = 0.1
DRAIN_SECONDS: Final = 180
READY_SECONDS: Final = 120
ROLL_CALL_SECONDS: Final = 120
PATIENT_RETRIES: Final = 12
SHOWN: Final = 20
QUICK_MINUTES: Final = 0.35
CELERY: Final = {"celery": "servers", "celery-rabbitmq": "rabbitmq"}
"""Stacks with a peer on the same broker."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=1, help="how long faults happen; the draining comes on top")
    parser.add_argument("--seed", type=int, default=0, help="of the schedule and of the load")
    parser.add_argument("--stack", choices=(*PROGRAMS, *CELERY), default="embedded")
    parser.add_argument("--lease", type=float, default=LEASE_SECONDS, help="seconds; the product's default is 30")
    parser.add_argument("--patient", action="store_true", help="kill workers, one when the last has been made up for")
    parser.add_argument("--machines", action="store_true", help="also full disks, cut links, wrong clocks; as root")
    parser.add_argument("--folder", type=Path, help="an empty folder that keeps data and logs; temporary by default")
    parser.add_argument("--quick", action="store_true", help="twenty seconds of faults: shows that it works")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, leave)
    log.configure(LogSettings(level="warning" if options.quick else "info"), "faults")
    minutes = min(options.minutes, QUICK_MINUTES) if options.quick else options.minutes
    figures, problems = run(
        options.stack,
        minutes,
        options.seed,
        options.folder,
        options.lease,
        patient=options.patient,
        rough=options.machines,
    )
    for problem in problems[:SHOWN]:
        print(problem, file=sys.stderr)
    show("a service under faults", figures, as_json=options.json)
    sys.exit(1 if problems else 0)


def leave(_number: int, _frame: FrameType | None) -> None:
    """Exit cleanly on a signal: everything that was started is stopped."""
    raise SystemExit(128 + signal.SIGTERM)


def run(
    kind: str,
    minutes: float,
    seed: int,
    folder: Path | None = None,
    lease: float = LEASE_SECONDS,
    *,
    patient: bool = False,
    rough: bool = False,
) -> tuple[dict[str, Any], list[str]]:
    """Return the figures, and a line for each broken promise."""
    with ExitStack() as cleanup:
        home = folder or Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="tsukiji-faults-")))
        home.mkdir(parents=True, exist_ok=True)
        asked, kind = kind, CELERY.get(kind, kind)
        there = cleanup.enter_context(machines(home, several=kind == "servers")) if rough else Machines()
        started = cleanup.enter_context(servers(kind, there.services))
        settings = settings_of(home, started.places)
        upgrade(settings)
        database = Database(settings)
        cleanup.callback(database.close)
        with database.transaction() as session:
            _, key = keys.create(session, "faults")
        stack = Stack(home, kind, started, lease, there)
        if kind == "embedded":
            stack.on_death = partial(release, settings)  # as `tsukiji up` does
        cleanup.callback(stack.stop)
        stack.start()
        lesson = teach(stack.url, key, home / "lesson", settings.outputs.allowed[0])
        users = Users(stack.url, key, seed, lesson)
        cleanup.callback(users.close)
        faults = Faults(stack, users, database, Notifier(create_app(settings)), seed, patient=patient)
        peer = None
        if asked in CELERY and started.broker:
            peer = Peer(home, re.sub(r"/0$", "/1", started.broker.url), lease, seed, dict(os.environ))
            cleanup.callback(peer.stop)
            peer.start()
            faults.on_fault = peer.meet
        suffer(users, faults, 60 * minutes, peer)
        if peer:
            peer.drain(DRAIN_SECONDS)
        deaf = call_roll(stack, users)
        with database.reading() as session:
            verdict = Checker(session, settings).check(users.accepted)
        verdict.twice += users.twice
        verdict.wrong += users.unanswered
        verdict.deaf = deaf
        figures = figures_of(users, faults, stack, verdict) | {
            "stack": asked,
            "minutes": minutes,
            "seeds": [seed],
            "runs": 1,
            "patient": patient,
            "machines": [name for name, found in vars(there).items() if found and name != "services"],
            **(peer.figures() if peer else {}),
        }
        return figures, lines_of(verdict)


def settings_of(home: Path, places: dict[str, str]) -> Settings:
    """Return the programs' settings, as far as they define addresses."""
    return Settings(
        data=DataSettings(dir=home / "data"),
        database=DatabaseSettings(url=places.get("TSUKIJI_DATABASE_URL")),
        broker=BrokerSettings(url=places.get("TSUKIJI_BROKER_URL")),
        outputs=OutputSettings(allowed=[results_of(home)]),
    )


def teach(url: str, key: str, folder: Path, place: str) -> Lesson:
    """Make a data set and a model before the faults; `place` is where results may go."""
    sent: dict[str, str] = {}
    for name, data in make_pictures(random.Random(0), 2 * PER_CLASS).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
        sent[name] = hashlib.sha256(data).hexdigest()
    with Client(url, key, max_retries=PATIENT_RETRIES) as client:
        dataset = client.datasets.create("lesson")
        dataset.upload(folder)
        training = client.trainings.create(dataset, RECIPE | {"epochs": 1}).wait(READY_SECONDS)
    return Lesson(training.id, dataset.id, (training.result or {})["model_id"], sent, place)


def suffer(users: Users, faults: Faults, seconds: float, peer: Peer | None = None) -> None:
    """Apply faults for a while, then let everything finish."""
    users.start()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        faults.step()
        if peer:
            peer.tend()
        time.sleep(STEP_SECONDS)
    faults.end()
    users.finish(DRAIN_SECONDS)
    while users.busy or not faults.all_there:
        faults.tend()
        time.sleep(STEP_SECONDS)


def call_roll(stack: Stack, users: Users) -> list[str]:
    """Return what is unfinished with each worker alone: another worker would hide a deaf one."""
    return [
        f"{kind}: not done within {ROLL_CALL_SECONDS} s by {', '.join(program.worker for program in shift)}"
        for shift in stack.shifts()
        for kind in users.try_out(ROLL_CALL_SECONDS)
    ]


def figures_of(users: Users, faults: Faults, stack: Stack, verdict: Verdict) -> dict[str, Any]:
    seconds = faults.recoveries.seconds
    return {
        "accepted": len(users.accepted),
        "finished": verdict.finished,
        **{name: len(found) for name, found in asdict(verdict).items() if isinstance(found, list)},
        "kills": faults.kills,
        "restarts": stack.restarts,
        "died": stack.died,
        "faults": sum(faults.dealt.values()),
        "dealt": faults.dealt,
        "recoveries": len(seconds),
        "recovery_seconds_p50": statistics.median(seconds) if seconds else None,
        "recovery_seconds_p95": p95(seconds),
        "recoveries_alone": len(faults.recoveries.alone),
        "recovery_alone_seconds_p95": p95(faults.recoveries.alone),
        "recovery_target_seconds": stack.lease + 5,
    }


def p95(seconds: list[float]) -> float | None:
    if len(seconds) < 2:
        return seconds[0] if seconds else None
    return statistics.quantiles(seconds, n=20, method="inclusive")[18]


def lines_of(verdict: Verdict) -> list[str]:
    lists = {name: found for name, found in asdict(verdict).items() if isinstance(found, list)}
    return [f"{name}: {fact}" for name, found in lists.items() for fact in found]


if __name__ == "__main__":
    main()
