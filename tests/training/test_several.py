"""Pictures of several colours at once: each preset learns which are there, and the package says so anywhere."""

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torchvision.models import resnet18

from tests.training.conftest import COLOURS, RECIPE, write_run
from training.control import Cancelled, Control
from training.data import load_data
from training.events import Events
from training.fit import loss_of
from training.job import train
from training.run import Report, Run, load
from tsukiji.errors import DatasetTooSmall
from tsukiji.ingest.packages import intake
from tsukiji.labels import join_labels, split_labels
from tsukiji.vision import package, selftest
from tsukiji.vision.backbones import preprocess_of
from tsukiji.vision.predictor import Predictor

NAMES = sorted(COLOURS)
SETS = [[], ["blue"], ["green"], ["red"], ["blue", "red"], ["blue", "green"], NAMES]
CPU = torch.device("cpu")

Finished = tuple[Path, Run, Report]


@pytest.fixture(scope="module")
def collages(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Grey noise with a stripe of each colour of the set; 6 of each set to learn from, and 3 held out."""
    folder, random = tmp_path_factory.mktemp("collages"), np.random.default_rng(0)
    found = []
    for number, labels in enumerate(SETS * 9):
        means = np.full((48, 48, 3), 120.0)
        for label in labels:
            means[:, 16 * NAMES.index(label) :][:, :16] = COLOURS[label]
        path = folder / f"{number}.png"
        Image.fromarray(np.clip(random.normal(means, 25), 0, 255).astype(np.uint8)).save(path)
        found.append(
            {
                "path": str(path),
                "label": join_labels(labels),
                "split": "train" if number < 6 * len(SETS) else "valid",
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                "name": path.name,
            }
        )
    return found


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    save_file(resnet18(weights=None).state_dict(), folder / "resnet18.safetensors")
    return folder


@pytest.fixture(scope="module")
def run_preset(
    tmp_path_factory: pytest.TempPathFactory, collages: list[dict[str, Any]], weights: Path
) -> Iterator[Callable[..., Finished]]:
    descriptor = os.open(tmp_path_factory.mktemp("events") / "events", os.O_CREAT | os.O_WRONLY)

    def run(preset: str, **changes: Any) -> Finished:
        recipe = RECIPE | {"preset": preset, "pretrained": True, "flip": False} | changes.pop("recipe", {})
        given = {"images": collages, "weights_dir": str(weights), "kind": "multi_label"} | changes
        control = Control()
        if order := given.pop("order", None):
            control.obey(order)
        folder = write_run(tmp_path_factory.mktemp(preset) / "run", [], recipe, **given)
        return folder, load(folder), train(folder, Events(descriptor), control)

    yield run
    os.close(descriptor)


@pytest.fixture(scope="module")
def quick(run_preset: Callable[..., Finished]) -> Finished:
    return run_preset("quick", recipe={"epochs": 30})


def test_quick_learns_which_colours_are_there(quick: Finished) -> None:
    _, _, report = quick
    several = report.metrics.multi_label
    assert several is not None
    assert report.metrics.label_names == NAMES
    assert several.mean_average_precision > 0.8
    assert several.empty == 3
    assert report.history[-1].mean_average_precision == pytest.approx(several.mean_average_precision, abs=0.05)


@pytest.fixture(scope="module")
def standard(run_preset: Callable[..., Finished]) -> Finished:
    return run_preset("standard", recipe={"epochs": 2, "learning_rate": 1e-3})


def assert_learns_sets(report: Report) -> None:
    assert report.metrics.multi_label is not None
    assert [epoch.epoch for epoch in report.history] == [1, 2]
    assert all(epoch.mean_average_precision for epoch in report.history)


def test_standard_learns_sets_too(standard: Finished) -> None:
    assert_learns_sets(standard[2])


def test_thorough_learns_sets_too(run_preset: Callable[..., Finished]) -> None:
    assert_learns_sets(run_preset("thorough", recipe={"epochs": 2, "learning_rate": 1e-3})[2])


def test_a_training_goes_on_where_another_attempt_stopped(
    run_preset: Callable[..., Finished], standard: Finished
) -> None:
    folder, run, report = standard
    last = max((folder / "checkpoints").iterdir())
    _, _, again = run_preset("standard", recipe=run.recipe.model_dump(), resume=str(last))
    assert [epoch.mean_average_precision for epoch in again.history] == [
        epoch.mean_average_precision for epoch in report.history
    ]


@pytest.mark.parametrize("preset", ["quick", "standard"])
def test_a_training_that_is_to_finish_packs_what_there_is(run_preset: Callable[..., Finished], preset: str) -> None:
    folder, _, report = run_preset(preset, recipe={"epochs": 2, "learning_rate": 1e-3}, order="finish")
    assert (report.epoch, report.finished_early) == (0, True)
    assert report.metrics.multi_label is not None
    assert Predictor.load(folder / "package", "cpu").kind == "multi_label"


@pytest.mark.parametrize("preset", ["quick", "standard"])
def test_a_cancelled_training_ends_without_a_report(run_preset: Callable[..., Finished], preset: str) -> None:
    with pytest.raises(Cancelled):
        run_preset(preset, order="cancel")


def test_the_items_are_what_the_metrics_count(quick: Finished) -> None:
    _, run, report = quick
    right = [item.predicted == run.images[item.index].label for item in report.items]
    assert np.mean(right) == pytest.approx(report.metrics.accuracy)
    assert np.mean([item.loss for item in report.items]) == pytest.approx(report.metrics.loss, rel=1e-5)


def test_pictures_of_none_of_them_are_unknown_things(quick: Finished) -> None:
    rates = quick[2].metrics.unknown
    assert rates is not None
    assert (rates.false_acceptances, rates.left_out) == (None, [])
    assert rates.given is not None
    assert rates.given.images == 3


def test_the_package_decides_by_a_threshold_for_each_label(quick: Finished, collages: list[dict[str, Any]]) -> None:
    folder, _, report = quick
    predictor = Predictor.load(folder / "package", "cpu")
    assert predictor.kind == "multi_label"
    assert report.metrics.multi_label is not None
    assert predictor.thresholds == [row.threshold for row in report.metrics.multi_label.per_label]
    held_out = [one for one in collages if one["split"] == "valid"]
    with_all = next(one for one in held_out if one["label"] == join_labels(NAMES))
    (row,) = predictor.predict([Image.open(with_all["path"])])
    assert predictor.labels_of(row) == [
        name for name, share, least in zip(NAMES, row, predictor.thresholds, strict=True) if share >= least
    ]
    shares = np.array([0.9, 0.4, 0.7], np.float32)
    assert [split_labels(predictor.decide_set(shares, least)) for least in (0.95, 0.6)] == [[], ["blue", "red"]]


def test_the_package_can_be_taken_elsewhere(quick: Finished) -> None:
    folder = quick[0] / "package"
    checked = intake.check(folder, package.verify(folder))
    assert checked.config.kind == "multi_label"
    assert {tuple(example.true_labels or []) for example in checked.examples} > {(), ("blue",)}
    assert "as recorded" in selftest.try_out(folder, checked.examples)


def test_the_card_speaks_of_sets(quick: Finished) -> None:
    card = (quick[0] / "package" / package.CARD).read_text()
    assert "Says which of 3 kinds are in a picture" in card
    assert "Mean average precision" in card
    assert "| label | precision | recall | F1 | pictures | average precision | threshold |" in card
    assert "predictor.labels_of(probabilities)" in card


def test_a_missing_label_is_suspected(run_preset: Callable[..., Finished], collages: list[dict[str, Any]]) -> None:
    images = [dict(image) for image in collages]
    images[6]["label"] = join_labels(["blue", "green"])  # red is there, too
    _, _, report = run_preset("quick", images=images, recipe={"epochs": 2})
    found = {suspect.index: suspect.suggested_label for suspect in report.suspects[:5]}
    assert found.get(6) == join_labels(NAMES)


def test_nothing_can_be_learnt_where_no_picture_has_a_label(
    run_preset: Callable[..., Finished], collages: list[dict[str, Any]]
) -> None:
    images = [image | {"label": join_labels([])} for image in collages]
    with pytest.raises(DatasetTooSmall, match="have no labels"):
        run_preset("quick", images=images)


def test_loaders_hand_out_a_one_for_each_label(quick: Finished) -> None:
    run = quick[1]
    loaders = load_data(run, preprocess_of("resnet18", 32), CPU)
    wanted = [
        [float(name in split_labels(image.label)) for name in NAMES] for image in run.images if image.split == "valid"
    ]
    assert torch.cat([targets for _, targets in loaders.valid]).tolist() == wanted


def test_rare_labels_weigh_more_within_bounds_and_probabilities_stay_true(quick: Finished) -> None:
    """A label's presence and absence weigh alike: the loss is least at the share of the images that have it."""
    run = quick[1]
    images = [image for image in run.images if image.split == "valid"]
    images += [image for image in run.images if image.split == "train" and image.labels == ["blue"]] * 20
    images += [image for image in run.images if image.split == "train" and image.labels == ["green"]][:1]
    uneven = run.model_copy(update={"images": images})
    weights = loss_of(uneven, CPU).func.weight
    blue, green, red = weights.tolist()
    assert green == pytest.approx(10 * blue), "of 121 pictures, one"
    assert (red, weights.mean().item()) == pytest.approx((green, 1))
    assert loss_of(run, CPU).func.weight is None
