"""The evaluation of a finished training matches the package's predictions, and is consistent."""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import resnet18

from tests.training.conftest import RECIPE, write_run
from training import embed
from training.control import Control
from training.embed_request import EmbeddedPicture, EmbedRequest
from training.events import Events
from training.job import train
from training.run import Report, Run, load
from tsukiji.vision import drift, package, selftest
from tsukiji.vision.decoding.decode import DecodeLimits
from tsukiji.vision.model import Classifier
from tsukiji.vision.predictor import Predictor

QUICK = {"preset": "quick", "pretrained": True, "epochs": 5}
LIMITS = DecodeLimits()

Finished = tuple[Path, Run, Report]
Again = Callable[..., Report]


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Events]:
    descriptor = os.open(tmp_path_factory.mktemp("events") / "events", os.O_CREAT | os.O_WRONLY)
    yield Events(descriptor)
    os.close(descriptor)


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory, pictures: list[dict[str, Any]]) -> dict[str, Any]:
    """Of a run: weights, a place for features, some test images, one wrong label, and two pictures of other things."""
    folder = tmp_path_factory.mktemp("given")
    torch.manual_seed(0)
    save_file(resnet18(weights=None).state_dict(), folder / "resnet18.safetensors")
    images = [dict(picture) for picture in pictures]
    images[0]["label"] = "red"
    assert images[0]["name"].startswith("blue")
    for picture in images[10::12]:
        picture["split"] = "test"
    unknown = [images[11] | {"label": "unknown"}, images[23] | {"label": "unknown"}]
    images = [picture for picture in images if picture["name"] not in {one["name"] for one in unknown}]
    return {
        "images": images,
        "unknown": unknown,
        "weights_dir": str(folder),
        "features": str(folder / "features.db"),
        # To a random body all pictures look so much alike that bfloat16 would set their order.
        "precision": "float32",
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, options: dict[str, Any], events: Events) -> Finished:
    folder = write_run(tmp_path_factory.mktemp("finished") / "run", [], RECIPE | QUICK, **options)
    return folder, load(folder), train(folder, events, Control())


@pytest.fixture
def again(finished: Finished, tmp_path: Path, options: dict[str, Any], events: Events) -> Again:
    """Return a function that trains once more, with other pictures or another recipe."""

    def begin(recipe: dict[str, Any] | None = None, **changes: Any) -> Report:
        folder = write_run(tmp_path / "again", [], RECIPE | QUICK | (recipe or {}), **options | changes)
        return train(folder, events, Control())

    return begin


def test_what_is_reported_is_what_the_package_answers(finished: Finished) -> None:
    folder, run, report = finished
    predictor = Predictor.load(folder / "package", "cpu")
    held_out = [run.images[item.index] for item in report.items]
    assert [run.images.index(picture) for picture in held_out] == run.of_split("valid")
    answers = predictor.answer([picture.open(LIMITS, run.recipe.image_size) for picture in held_out])
    np.testing.assert_allclose(answers.probabilities, [item.probabilities for item in report.items], atol=2e-3)
    assert answers.known_scores is not None
    step = 1 / len(report.items)  # a known score is a place among the held-out pictures, and kept features are halves
    np.testing.assert_allclose(answers.known_scores, [item.known_score for item in report.items], atol=step)
    assert package.read_calibration(folder / "package").known


def test_what_can_be_promised_rests_on_held_out_images_that_are_known_and_on_cross_fitted_ones(
    finished: Finished,
) -> None:
    _, run, report = finished
    found = report.metrics.selective
    assert found
    known = [item for item in report.items if item.known_score >= 0.05]
    wrong = sum(item.predicted != run.images[item.index].label for item in known)
    learnt = len(run.of_split("train"))
    assert (found.images, found.cross_fitted, found.candidates) == (len(report.items) + learnt, learnt, 1)
    assert found.all_labels.images == len(known) + learnt
    assert len(found.all_labels.decided) > wrong + 1, "the wrong label is found wrong, though it was learnt"
    assert [row.threshold for row in report.metrics.guarantees] == [None] * 4, "too few images"
    assert [row.coverage for row in report.metrics.prediction_sets] == [0.8, 0.9, 0.95, 0.99]


def test_images_that_belong_to_a_held_out_one_are_no_grounds_for_promises(
    again: Again, options: dict[str, Any]
) -> None:
    report = again(images=[picture | {"unit": 0} for picture in options["images"]])
    assert report.metrics.selective
    assert report.metrics.selective.images == len(report.items)


def test_an_analysis_after_a_training_looks_at_no_picture_that_was_learnt_from_or_held_out(
    finished: Finished, options: dict[str, Any], events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, run, _ = finished
    images = [
        EmbeddedPicture(path=picture.path, sha256=picture.sha256, crop=picture.crop)
        for picture in run.images
        if picture.split != "test"
    ]
    survey = EmbedRequest(
        backbone=run.recipe.backbone,
        image_size=run.recipe.image_size,
        images=images,
        features=Path(options["features"]),
        weights_dir=Path(options["weights_dir"]),
        precision=options["precision"],
        device="cpu",
    )
    monkeypatch.setattr(embed, "open_picture", lambda *_: pytest.fail("it was decoded again"))
    embed.look(survey, events, Control())


def test_the_package_keeps_what_its_held_out_images_are_like(finished: Finished) -> None:
    folder, run, report = finished
    kept = drift.read_held_out(folder / "package")
    assert kept
    counts = Counter(run.label_names[int(np.argmax(item.probabilities))] for item in report.items)
    assert dict(zip(run.label_names, kept.labels, strict=True)) == {name: counts[name] for name in run.label_names}
    assert sum(kept.known) == sum(kept.scores) == len(report.items)
    assert kept.thresholds == [min(item.known_score for item in report.items)], "few images: the lowest"
    assert drift.judge(kept.distribution, kept).p_value == 1


def test_the_package_passes_its_own_test(finished: Finished) -> None:
    folder = finished[0] / "package"
    assert "answered as recorded" in selftest.try_out(folder, package.read_examples(folder))


def test_none_of_these_is_measured_on_held_out_and_on_given_images(finished: Finished) -> None:
    unknown = finished[2].metrics.unknown
    assert unknown
    assert 0 <= unknown.false_rejections <= 1
    assert [row.label for row in unknown.left_out] == ["blue", "green", "red"]
    assert unknown.given
    assert unknown.given.images == 2
    card = (finished[0] / "package" / package.CARD).read_text()
    assert "of 2 pictures of other things" in card


def test_wrong_labels_are_suspected_and_test_images_are_not_looked_at(finished: Finished) -> None:
    _, run, report = finished
    first = report.suspects[0]
    assert (run.images[first.index].name, first.suggested_label) == ("blue-0.png", "blue")
    assert all(run.images[suspect.index].split != "test" for suspect in report.suspects)


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many images each pass through a body had."""
    look, sizes = Classifier.look, []

    def count(model: Classifier, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        sizes.append(len(images))
        return look(model, images)

    monkeypatch.setattr(Classifier, "look", count)
    return sizes


def test_a_second_training_computes_no_features(finished: Finished, again: Again, passes: list[int]) -> None:
    report = again()
    assert sum(passes) <= 5, "the package's own examples, answered once more by the finished network"
    assert report.metrics.loss == pytest.approx(finished[2].metrics.loss, abs=1e-4)


def test_relabelling_computes_no_features_either(again: Again, passes: list[int], options: dict[str, Any]) -> None:
    images = json.loads(json.dumps(options["images"]))
    images[0]["label"] = "blue"
    report = again(images=images)
    assert sum(passes) <= 5
    assert "blue-0.png" not in {images[suspect.index]["name"] for suspect in report.suspects[:1]}


def test_another_seed_or_recipe_of_the_head_computes_none_but_another_size_all(
    finished: Finished, again: Again, passes: list[int], options: dict[str, Any]
) -> None:
    again({"image_size": 40})
    assert sum(passes) >= len(options["images"]) - 3, "all but the test images"


def test_a_label_with_one_image_to_hold_out_is_measured(again: Again, options: dict[str, Any]) -> None:
    seen = False
    images = []
    for picture in options["images"]:
        if picture["label"] == "green" and picture["split"] == "valid":
            if seen:
                continue
            seen = True
        images.append(picture)
    report = again(images=images)
    assert [row.support for row in report.metrics.per_class if row.label == "green"] == [1]
    assert report.metrics.unknown
