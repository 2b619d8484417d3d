"""The engine as a worker meets it: a folder in, a folder out, events on one pipe, orders on the other."""

import hashlib
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.training.conftest import RECIPE, ROOT, Engine, MakeRun, close, write_run
from training.control import Exit
from training.run import Report
from tsukiji.vision import package
from tsukiji.vision.preprocess import Preprocess

pytestmark = pytest.mark.slow

Start = Callable[..., Engine]
LONG = {"epochs": 500}

LOAD = """
import sys
from pathlib import Path
from tsukiji.vision.predictor import Predictor
print(Predictor.load(Path(sys.argv[1]), "cpu").label_names, "fastai" in sys.modules, "training" in sys.modules)
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, pictures: list[dict[str, Any]]) -> Iterator[tuple[Path, Engine]]:
    """An undisturbed training of two epochs, with decoding processes, and its folder.

    The path of its temporary folder is long.
    """
    there = tmp_path_factory.mktemp("finished")
    folder, long = write_run(there / "run", pictures, RECIPE, workers=2), there / ("t" * 100)
    long.mkdir()
    engine = Engine(folder, fresh=True, TMPDIR=str(long))
    assert engine.wait() == Exit.DONE
    yield folder, engine
    close(engine)


def report_in(folder: Path) -> Report:
    return Report.model_validate_json((folder / "report.json").read_bytes())


def uncalibrated_loss(folder: Path) -> float:
    """The loss of the network's own probabilities, as fastai measured it: the report's without the temperature."""
    report, run = report_in(folder), json.loads((folder / "run.json").read_bytes())
    temperature = package.read_calibration(folder / "package").temperature
    powers = np.maximum([item.probabilities for item in report.items], 1e-300) ** temperature
    columns = [report.metrics.label_names.index(run["images"][item.index]["label"]) for item in report.items]
    return float(-np.log((powers / powers.sum(axis=1, keepdims=True))[np.arange(len(columns)), columns]).mean())


def test_events_tell_the_course_of_a_training(finished: tuple[Path, Engine]) -> None:
    folder, engine = finished
    assert [event["name"] for event in engine.of("phase")] == ["loading", "training", "exporting", "evaluating"]
    assert engine.events[-1] == {"type": "done"}
    assert [event["epoch"] for event in engine.of("epoch")] == [1, 2]
    assert [Path(event["path"]) for event in engine.of("checkpoint")] == [
        folder / "checkpoints" / "epoch-0001.pt",
        folder / "checkpoints" / "epoch-0002.pt",
    ]
    progress = engine.of("progress")[0]
    assert (progress["epoch"], progress["epochs"], progress["batches"]) == (1, 2, 3)
    assert progress["eta_seconds"] >= 0


def test_report_holds_what_the_events_said_and_every_held_out_picture(finished: tuple[Path, Engine]) -> None:
    folder, engine = finished
    report, run = report_in(folder), json.loads((folder / "run.json").read_bytes())
    assert [{"type": "epoch", **epoch.model_dump()} for epoch in report.history] == engine.of("epoch")
    assert (report.epoch, report.finished_early, report.weights_source, report.device) == (2, False, "random", "cpu")
    assert [run["images"][item.index]["split"] for item in report.items] == ["valid"] * 12
    right = [item.predicted == run["images"][item.index]["label"] for item in report.items]
    assert report.metrics.accuracy == pytest.approx(sum(right) / 12)
    assert sum(map(sum, report.metrics.confusion)) == report.metrics.images == 12
    for item in report.items:
        assert item.score == max(item.probabilities)
        assert sum(item.probabilities) == pytest.approx(1, abs=1e-5)
        assert report.metrics.label_names[item.probabilities.index(item.score)] == item.predicted


def test_serving_path_finds_what_fastai_found(finished: tuple[Path, Engine]) -> None:
    report = report_in(finished[0])
    assert report.metrics.accuracy == pytest.approx(report.history[-1].accuracy, abs=1.01 / 12)
    assert uncalibrated_loss(finished[0]) == pytest.approx(report.history[-1].valid_loss, rel=1e-3)
    assert report.metrics.calibration
    temperature = package.read_calibration(finished[0] / "package").temperature
    assert temperature == pytest.approx(report.metrics.calibration.temperature)


def test_package_is_whole_and_says_what_it_is(finished: tuple[Path, Engine]) -> None:
    folder = finished[0] / "package"
    manifest = package.verify(folder)
    assert manifest.model_id == "mdl_1"
    assert manifest.files.keys() >= {package.EVALUATION, package.CARD, package.WEIGHTS}
    assert package.read_config(folder).label_names == ["blue", "green", "red"]
    assert not package.read_config(folder).pretrained
    assert package.read_preprocess(folder) == Preprocess(size=32)
    evaluation = json.loads((folder / package.EVALUATION).read_bytes())
    assert (evaluation["snapshot_sha256"], evaluation["seed"], evaluation["split"]) == ("0" * 64, 3, "valid")
    assert evaluation["metrics"] == report_in(finished[0]).metrics.model_dump(mode="json")
    assert evaluation["images"] == {"train": 24, "valid": 12}


def test_package_loads_without_fastai(finished: tuple[Path, Engine]) -> None:
    command = [sys.executable, "-c", LOAD, str(finished[0] / "package")]
    said = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert said.split("\n")[0] == "['blue', 'green', 'red'] False False"


def test_cancel_stops_and_keeps_nothing(make_run: MakeRun, start: Start) -> None:
    folder = make_run(recipe=LONG)
    engine = start(folder)
    engine.wait_for("progress")
    engine.order("cancel")
    assert engine.wait() == Exit.CANCELLED
    assert not engine.of("error")
    assert not (folder / "package").exists()
    assert not (folder / "report.json").exists()


def test_finish_stops_and_keeps_the_best_epoch(make_run: MakeRun, start: Start) -> None:
    folder = make_run(recipe=LONG)
    engine = start(folder)
    for _ in range(3):
        engine.wait_for("epoch")
    engine.order("finish")
    assert engine.wait() == Exit.DONE
    report = report_in(folder)
    best = min(report.history, key=lambda epoch: epoch.valid_loss)
    assert report.finished_early
    assert 3 <= len(report.history) < 500
    assert report.epoch == best.epoch
    assert uncalibrated_loss(folder) == pytest.approx(best.valid_loss, rel=1e-3)


@pytest.mark.parametrize("end", ["hang_up", "terminate"])
def test_engine_ends_with_its_starter_and_leaves_a_checkpoint(make_run: MakeRun, start: Start, end: str) -> None:
    folder = make_run(recipe=LONG, workers=1)
    engine = start(folder)
    path = engine.wait_for("checkpoint")["path"]
    if end == "hang_up":
        engine.hang_up()
    else:
        engine.process.send_signal(signal.SIGTERM)
    assert engine.wait() == Exit.ABANDONED
    assert not (folder / "report.json").exists()
    newest = max(Path(path).parent.glob("epoch-*.pt"))
    assert torch.load(newest, weights_only=True)["history"]


def test_damaged_picture_is_named(
    make_run: MakeRun, start: Start, pictures: list[dict[str, Any]], tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(Path(pictures[5]["path"]).read_bytes()[:600])
    sha256 = hashlib.sha256(damaged.read_bytes()).hexdigest()
    images = [
        *pictures[:5],
        pictures[5] | {"path": str(damaged), "sha256": sha256, "name": "damaged.png"},
        *pictures[6:],
    ]
    engine = start(make_run(images=images, workers=1))
    assert engine.wait() == Exit.FAILED
    error = engine.events[-1]
    assert error["code"] == "truncated"
    assert error["detail"].startswith("damaged.png: ")
    assert "Traceback" not in error["detail"]


def test_decoding_processes_work_where_temporary_paths_are_long(finished: tuple[Path, Engine]) -> None:
    """Their sockets lie in the temporary folder; where one's path is too long, every picture was lost in silence."""
    assert [event["valid_loss"] > 0 for event in finished[1].of("epoch")] == [True, True]
