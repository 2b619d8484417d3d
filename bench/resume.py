"""A training that is killed again and again, beside the same training undisturbed: do both end alike?

Each seed is trained twice on the same pictures: left alone, and with its worker killed (-9, all its processes) in the
midst of some epochs. `mean_difference` and `largest_difference` are of the final accuracy, killed less undisturbed;
`noise` is the standard deviation of the undisturbed over the seeds; `repeat_difference` compares two undisturbed runs
of the first seed, and is 0 where the engine can be reproduced at all. `kills_hit` are the epochs that the kills met: on
a busy machine one may come an epoch late. Exit status 1 where a history has a gap or an
epoch twice, a training did not succeed, or the killed ones end otherwise than noise explains.
"""

import argparse
import random
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from bench.faulting.programs import Program, Stack
from bench.faulting.servers import Servers
from bench.faults import leave, settings_of
from bench.report import SUFFIXES, parse, show, weights_folder
from db import keys
from db.session import Database
from db.upgrade import upgrade
from training.digits import write_digits
from tsukiji import Client
from tsukiji.client import Training
from tsukiji.kernel import log
from tsukiji.kernel.settings import LogSettings
from tsukiji.types import EpochMetrics

PICTURES: Final = 600
FEW_PICTURES: Final = 200
RECIPE: Final[dict[str, Any]] = {"batch_size": 32, "flip": False}
SMALL: Final[dict[str, Any]] = {"backbone": "resnet18", "image_size": 32, "pretrained": False}
GIVEN: Final[dict[str, Any]] = {"backbone": "resnet34", "image_size": 64, "pretrained": True}
"""With weights, from a file."""
NEEDED: Final = ("api", "dispatcher", "intake", "train")
CURVES: Final = ("train_loss", "valid_loss", "accuracy")
MIDST: Final = (0.1, 0.4)
"""Between these parts of an epoch, counted from when the one before is safe: by then it has begun."""
WAIT_SECONDS: Final = 300
LOOK_SECONDS: Final = 0.02
PATIENT_RETRIES: Final = 12


@dataclass(frozen=True)
class Course:
    """How one training went."""

    status: str
    attempts: int
    accuracy: float
    """Of the registered model on the held-out pictures."""
    history: list[dict[str, Any]]
    """The metrics of each epoch, as often as they were written down."""
    hit: list[int]
    """The epochs in which it was killed."""
    recoveries: list[float]
    """Seconds from each kill until the training was claimed again."""

    def is_whole(self, epochs: int) -> bool:
        return self.status == "succeeded" and [line["epoch"] for line in self.history] == list(range(1, epochs + 1))


def main() -> None:
    parser = parse(__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=10, help="4 or more: the kills come in about 3, 6 and 9 of 10")
    options = parser.parse_args()
    kills = kills_of(options.epochs)
    if options.quick:
        options.seeds, options.epochs, kills = 2, 4, [2, 3]
    if options.seeds < 2 or options.epochs < 4:
        parser.error("noise takes 2 seeds, kills take 4 epochs")
    signal.signal(signal.SIGTERM, leave)
    log.configure(LogSettings(), "resume")
    with tempfile.TemporaryDirectory(prefix="tsukiji-resume-") as folder:
        figures, good = measure(options, kills, Path(folder))
    show("trainings killed and resumed, beside undisturbed ones", figures, as_json=options.json)
    sys.exit(0 if good else 1)


def kills_of(epochs: int) -> list[int]:
    """Return the epochs to kill in: 3, 6 and 9 of 10, and the like of other numbers."""
    return sorted({max(2, epochs * tenths // 10) for tenths in (3, 6, 9)})


def measure(options: argparse.Namespace, kills: list[int], folder: Path) -> tuple[dict[str, Any], bool]:
    """Return the figures, and whether they are what was promised."""
    epochs = options.epochs
    weights = weights_folder(options.weights, folder / "weights")
    wanted = FEW_PICTURES if options.quick else PICTURES
    lesson = choose_pictures(options.data or [digits(folder / "digits")], folder / "lesson", wanted)
    with ExitStack() as cleanup:
        rig = Rig(folder, {"TSUKIJI_WEIGHTS_DIR": str(weights)} if weights else {}, cleanup)
        dataset = rig.client.datasets.create("lesson")
        dataset.upload(lesson)
        recipe = RECIPE | (GIVEN if weights else SMALL) | {"epochs": epochs}

        def course(seed: int, hits: list[int]) -> Course:
            return rig.train(dataset.id, recipe | {"seed": seed}, hits, random.Random(seed))

        alone = [course(seed, []) for seed in range(options.seeds)]
        killed = [course(seed, kills) for seed in range(options.seeds)]
        again = course(0, [])
    figures = figures_of(alone, killed, again, epochs)
    good = figures["histories_whole"] and figures["within_noise"]
    return {"seeds": options.seeds, "epochs": epochs, "kills": kills, **figures}, good


def digits(folder: Path) -> Path:
    write_digits(folder)
    return folder


def choose_pictures(folders: list[Path], target: Path, wanted: int) -> Path:
    """Copy a fair sample of the class folders' pictures; `target` has class folders again."""
    found = sorted(path for folder in folders for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    random.Random(0).shuffle(found)
    for path in found[:wanted]:
        copy = target / path.parent.name / path.name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    return target


class Rig:
    """A service without inference; one training at a time."""

    def __init__(self, folder: Path, places: dict[str, str], cleanup: ExitStack) -> None:
        settings = settings_of(folder, places)
        upgrade(settings)
        database = Database(settings)
        with database.transaction() as session:
            _, key = keys.create(session, "resume")
        database.close()
        self._stack = Stack(folder, "embedded", Servers(places))
        self._stack.programs = [program for program in self._stack.programs if program.role in NEEDED]
        cleanup.callback(self._stack.stop)
        self._stack.start()
        self.client = cleanup.enter_context(Client(self._stack.url, key, max_retries=PATIENT_RETRIES))

    @property
    def _worker(self) -> Program:
        return next(program for program in self._stack.programs if program.role == "train")

    def train(self, dataset_id: str, recipe: dict[str, Any], kills: list[int], chance: random.Random) -> Course:
        """Train to the end, with a kill in the midst of each of these epochs."""
        training = self.client.trainings.create(dataset_id, recipe)
        hit, recoveries = [], []
        for epoch in kills:
            self._reach(training, epoch, chance.uniform(*MIDST))
            attempt = training.attempt
            self._worker.kill()
            killed_at = time.monotonic()
            hit.append(len(history_of(training.refresh())) + 1)
            self._worker.start()
            until(training, partial(is_claimed, training, attempt))
            recoveries.append(time.monotonic() - killed_at)
        training.wait(WAIT_SECONDS, raise_on_error=False)
        accuracy = (training.result or {}).get("accuracy", 0.0)
        history = [event.data for event in training.events() if event.event == "metric"]
        return Course(training.status, training.attempt, accuracy, history, hit, recoveries)

    def _reach(self, training: Training, epoch: int, part: float) -> None:
        """Return when about this part of the epoch is over, to judge by the one before."""
        until(training, lambda: len(history_of(training)) >= epoch - 1)  # told with the checkpoint, after the progress
        time.sleep(part * history_of(training)[-1].seconds)


def history_of(training: Training) -> list[EpochMetrics]:
    return list(training.metrics())


def is_claimed(training: Training, attempt: int) -> bool:
    return training.attempt > attempt


def until(training: Training, condition: Callable[[], bool]) -> None:
    """Ask again and again.

    Raises:
        RuntimeError: the training ended, or time is over.
    """
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        if training.done or time.monotonic() > deadline:
            raise RuntimeError(f"{training.id} is {training.status}: {training.error}")
        time.sleep(LOOK_SECONDS)
        training.refresh()


def figures_of(alone: list[Course], killed: list[Course], again: Course, epochs: int) -> dict[str, Any]:
    pairs = list(zip(alone, killed, strict=True))
    differences = [after.accuracy - before.accuracy for before, after in pairs]
    mean, largest = statistics.mean(differences), max(map(abs, differences))
    noise = statistics.stdev(run.accuracy for run in alone)
    whole = all(run.is_whole(epochs) and run.attempts == len(run.hit) + 1 for run in [*alone, *killed, again])
    return {
        "kills_hit": [run.hit for run in killed],
        "attempts": [run.attempts for run in killed],
        "histories_whole": whole,
        "accuracy_undisturbed": [run.accuracy for run in alone],
        "accuracy_killed": [run.accuracy for run in killed],
        "mean_difference": mean,
        "largest_difference": largest,
        "noise": noise,
        "curve_largest_difference": max(apart(before, after) for before, after in pairs),
        "repeat_difference": apart(alone[0], again),
        "within_noise": abs(mean) <= noise and largest <= 2 * noise,
        "recovery_seconds_p50": statistics.median(seconds for run in killed for seconds in run.recoveries),
    }


def apart(one: Course, other: Course) -> float:
    """Return the largest difference of two curves: losses in nats, accuracy as a fraction."""
    return max(
        abs(float(first[name]) - float(second[name]))
        for first, second in zip(one.history, other.history, strict=False)
        for name in CURVES
    )


if __name__ == "__main__":
    main()
