import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torchvision.models import resnet18

from tests.training.conftest import RECIPE, MakeRun, write_run
from training import callbacks
from training.control import Cancelled, Control
from training.events import Events
from training.job import train
from training.run import Report
from tsukiji.errors import DatasetTooSmall, Invalid, WeightsUnavailable
from tsukiji.types.execution import Execution
from tsukiji.vision import package, selftest

Train = Callable[[Path], Report]


@pytest.fixture
def events(tmp_path: Path) -> Iterator[Events]:
    descriptor = os.open(tmp_path / "events", os.O_CREAT | os.O_WRONLY)
    yield Events(descriptor)
    os.close(descriptor)


@pytest.fixture
def run_training(events: Events) -> Train:
    return lambda folder: train(folder, events, Control())


def weights_in(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "package" / package.WEIGHTS)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, pictures: list[dict[str, Any]]) -> tuple[Path, Report]:
    """A training of two epochs with random weights: its folder, with a checkpoint of each epoch, and its report."""
    folder = write_run(tmp_path_factory.mktemp("undisturbed") / "run", pictures, RECIPE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(callbacks, "CHECKPOINT_SECONDS", 0)
        return folder, train(folder, Events(os.open(os.devnull, os.O_WRONLY)), Control())


def checkpoint_of(folder: Path, epoch: int) -> str:
    return str(folder / "checkpoints" / f"epoch-{epoch:04}.pt")


def test_resumed_training_equals_the_undisturbed_one(
    undisturbed: tuple[Path, Report], make_run: MakeRun, run_training: Train
) -> None:
    folder, expected = undisturbed
    resumed = make_run("resumed", resume=checkpoint_of(folder, 1))
    report = run_training(resumed)
    assert report.history[0] == expected.history[0]  # taken over, not done again
    ours, theirs = (found.history[1].model_dump(exclude={"seconds"}) for found in (report, expected))
    assert ours == pytest.approx(theirs, abs=1e-4)
    found = weights_in(resumed)
    for name, tensor in weights_in(folder).items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-3, atol=1e-4)


def test_training_whose_epochs_are_all_done_is_only_packed(
    undisturbed: tuple[Path, Report], make_run: MakeRun, run_training: Train
) -> None:
    folder, expected = undisturbed
    report = run_training(make_run("again", resume=checkpoint_of(folder, 2)))
    assert report.history == expected.history
    assert report.metrics.loss == pytest.approx(expected.metrics.loss)
    assert not report.finished_early


def test_checkpoint_of_another_run_starts_anew(
    undisturbed: tuple[Path, Report], make_run: MakeRun, run_training: Train, tmp_path: Path
) -> None:
    other = make_run("other", recipe={"epochs": 1}, resume=checkpoint_of(undisturbed[0], 1))
    report = run_training(other)
    assert [epoch.epoch for epoch in report.history] == [1]
    assert report.history != undisturbed[1].history[:1]
    assert "is of another data set" in (tmp_path / "events").read_text()


def test_checkpoint_that_cannot_be_read_starts_anew(make_run: MakeRun, run_training: Train, tmp_path: Path) -> None:
    damaged = tmp_path / "epoch-0001.pt"
    damaged.write_bytes(b"PK\x03\x04 and then nothing")
    report = run_training(make_run(recipe={"epochs": 1}, resume=str(damaged)))
    assert [epoch.epoch for epoch in report.history] == [1]
    assert "Starting from the beginning" in (tmp_path / "events").read_text()


def test_pretrained_body_is_the_file_and_stays_frozen(make_run: MakeRun, run_training: Train, tmp_path: Path) -> None:
    torch.manual_seed(0)
    given = resnet18(weights=None).state_dict()
    save_file(given, tmp_path / "resnet18.safetensors")
    folder = make_run(recipe={"pretrained": True, "epochs": 1}, weights_dir=str(tmp_path))
    report = run_training(folder)
    assert report.weights_source == "weights folder (resnet18.safetensors)"
    assert package.read_config(folder / "package").pretrained
    found = weights_in(folder)
    convolutions = [name for name in given if given[name].ndim == 4]
    assert len(convolutions) == 20
    assert all(torch.equal(found[name], given[name]) for name in convolutions)
    assert not torch.equal(found["bn1.weight"], given["bn1.weight"])  # fastai trains the norms of a frozen body


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_the_package_says_what_its_head_was_fitted_to(
    make_run: MakeRun, run_training: Train, tmp_path: Path, engine: str
) -> None:
    save_file(resnet18(weights=None).state_dict(), tmp_path / "resnet18.safetensors")
    recipe = {"preset": "quick", "pretrained": True, "epochs": 2}
    asked = {"engine": engine, "precision": "float32", "cache": str(tmp_path / "cache")}
    folder = make_run(recipe=recipe, weights_dir=str(tmp_path), **asked)
    run_training(folder)
    assert package.read_calibration(folder / "package").execution == Execution(engine=engine, precision="float32")
    selftest.try_out(folder / "package", package.read_examples(folder / "package"))


def test_random_body_is_trained(undisturbed: tuple[Path, Report]) -> None:
    before, after = (torch.load(checkpoint_of(undisturbed[0], epoch), weights_only=True)["model"] for epoch in (1, 2))
    assert not torch.equal(before["0.0.weight"], after["0.0.weight"])


def test_weights_that_cannot_be_had_fail_at_once(
    make_run: MakeRun, run_training: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "empty"))
    with pytest.raises(WeightsUnavailable) as caught:
        run_training(make_run(recipe={"pretrained": True}, weights_dir=str(tmp_path)))
    assert caught.value.hint
    assert "TSUKIJI_WEIGHTS_DIR" in caught.value.hint


def test_nothing_held_out_is_an_error(make_run: MakeRun, run_training: Train, pictures: list[dict[str, Any]]) -> None:
    with pytest.raises(DatasetTooSmall, match="split valid"):
        run_training(make_run(images=[picture | {"split": "train"} for picture in pictures]))


def test_folder_without_a_run_is_an_error(run_training: Train, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="cannot be read"):
        run_training(tmp_path)


def test_cancel_before_the_first_step_trains_nothing(make_run: MakeRun, events: Events) -> None:
    control, folder = Control(), make_run()
    control.obey("cancel")
    with pytest.raises(Cancelled):
        train(folder, events, control)
    assert not (folder / "checkpoints").exists()


def test_finish_within_the_first_epoch_packs_what_there_is(make_run: MakeRun, events: Events) -> None:
    control, folder = Control(), make_run()
    control.obey("finish")
    report = train(folder, events, control)
    assert (report.epoch, report.history, report.finished_early) == (0, [], True)
    assert package.verify(folder / "package")
