"""Bodies in int8: made once, like float32, used where they are as good, and part of the package."""

import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.training.conftest import RECIPE, write_run
from training import frozen, quantisation, served
from training.control import Cancelled, Control
from training.engine_options import EngineOptions
from training.events import Events
from training.frozen import Samples, find_int8, open_frozen
from training.job import train
from training.run import Report
from training.served import Judged
from tsukiji.types.execution import Execution
from tsukiji.vision import package, selftest
from tsukiji.vision.backbones import preprocess_of
from tsukiji.vision.engines.quantised import facts_of
from tsukiji.vision.execution_plan import Plan
from tsukiji.vision.model import Classifier, build
from tsukiji.vision.predictor import Predictor

SIDE = 32
PREPROCESS = preprocess_of("resnet18", SIDE)
INT8 = Execution(engine="openvino", precision="int8")
FLOAT32 = Execution(engine="openvino", precision="float32")


def body() -> Classifier:
    torch.manual_seed(0)
    return build("resnet18", 1).eval()


def pixels(count: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    random = np.random.default_rng(0)
    means = random.integers(40, 200, (count, 1, 1, 3))
    return np.clip(random.normal(means, 30, (count, SIDE, SIDE, 3)), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder with the pretrained body in int8."""
    folder = tmp_path_factory.mktemp("cache")
    assert find_int8(body(), "resnet18", PREPROCESS, folder, Samples(1000, pixels, lambda: None))
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    save_file(body().body_state(), folder / "resnet18.safetensors")
    return folder


@pytest.fixture
def options(cache: Path) -> EngineOptions:
    return EngineOptions(device="cpu", engine="openvino", precision="int8", cache=cache)


@pytest.fixture
def events(tmp_path: Path) -> Iterator[Events]:
    descriptor = os.open(tmp_path / "events", os.O_CREAT | os.O_WRONLY)
    yield Events(descriptor)
    os.close(descriptor)


def test_embeddings_in_int8_are_like_those_in_float32(options: EngineOptions) -> None:
    opened = partial(open_frozen, body(), "resnet18", PREPROCESS, torch.device("cpu"))
    lowered, plan, file = opened(options)
    exact, _, none = opened(options.model_copy(update={"precision": "float32"}))
    assert (plan.engine, plan.precision, none) == ("openvino", "int8", None)
    assert file
    facts = facts_of(file)
    assert facts
    assert facts.images == 64
    found, expected = (engine.look(pixels(20))[0] for engine in (lowered, exact))
    assert 0.9 < np.corrcoef(found.ravel(), expected.ravel())[0, 1] < 1
    for maps, exactly in zip(*(engine.stages(pixels(20)) for engine in (lowered, exact)), strict=True):
        assert 0.9 < np.corrcoef(maps.ravel(), exactly.ravel())[0, 1] < 1
    assert file.stat().st_size < 0.3 * sum(tensor.nbytes for tensor in body().body_state().values())
    assert lowered.space != exact.space


def test_a_body_is_quantised_once(options: EngineOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantisation, "quantise", lambda *_: pytest.fail("it was quantised again"))
    samples = Samples(1500, pixels, lambda: None)
    _, plan, _ = open_frozen(body(), "resnet18", PREPROCESS, torch.device("cpu"), options, samples)
    assert plan.precision == "int8"


@pytest.mark.parametrize("fault", ["few images", "no nncf", "unlike", "crash"])
def test_what_cannot_be_quantised_computes_otherwise(
    options: EngineOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    if fault == "no nncf":
        monkeypatch.setattr(frozen, "installed", lambda _: None)
    elif fault == "crash":
        monkeypatch.setattr(quantisation, "PYTHON", ["false"])
    elif fault == "unlike":
        monkeypatch.setattr(quantisation, "quantise", lambda *_: facts_of(Path("nowhere")))
    samples = Samples(999 if fault == "few images" else 1000, pixels, lambda: None)
    elsewhere = options.model_copy(update={"cache": tmp_path, "precision": "float32"})
    assert find_int8(body(), "resnet18", PREPROCESS, tmp_path, samples) is None
    _, plan, _ = open_frozen(body(), "resnet18", PREPROCESS, torch.device("cpu"), elsewhere, samples)
    assert plan.precision == "float32"


def test_quantising_ends_when_it_is_cancelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cancel() -> None:
        raise Cancelled

    monkeypatch.setattr(quantisation, "PYTHON", [sys.executable, "-c", "import time; time.sleep(60)"])
    with pytest.raises(Cancelled):
        find_int8(body(), "resnet18", PREPROCESS, tmp_path, Samples(1000, pixels, cancel))
    assert list((tmp_path / frozen.INT8).iterdir()) == []


@pytest.fixture
def run_training(
    tmp_path: Path, pictures: list[dict[str, Any]], weights: Path, events: Events, monkeypatch: pytest.MonkeyPatch
) -> Any:
    """Return a function that trains in int8 if it can, and its folder."""
    monkeypatch.setattr(frozen, "LEAST_IMAGES", 20)

    def begin(cache: Path, recipe: dict[str, Any], **changes: Any) -> tuple[Report, Path]:
        asked = {"engine": "openvino", "precision": "int8", "cache": str(cache), "weights_dir": str(weights)}
        folder = write_run(tmp_path / "run", pictures, RECIPE | recipe, **asked | changes)
        return train(folder, events, Control()), folder / "package"

    return begin


def test_a_quick_model_is_fitted_evaluated_and_served_in_int8(cache: Path, run_training: Any) -> None:
    report, folder = run_training(cache, {"preset": "quick", "pretrained": True})
    assert report.metrics.execution == INT8
    assert package.read_calibration(folder).execution == INT8
    predictor = Predictor.planned(folder, Plan("cpu", "int8", engine="openvino", rounded=True))
    examples = package.read_examples(folder)
    selftest.try_out(folder, examples)
    assert predictor.plan.precision == "int8"
    assert report.items[0].probabilities, "and its answers are those of the evaluation:"
    assert (folder / package.INT8).stat().st_size > 0


def agreeing(good: bool) -> Any:
    return lambda _, __: good


@pytest.mark.parametrize("good", [True, False])
def test_a_body_of_its_own_is_in_int8_only_if_it_is_as_good(
    cache: Path, run_training: Any, monkeypatch: pytest.MonkeyPatch, good: bool
) -> None:
    monkeypatch.setattr(Judged, "as_good_as", agreeing(good))

    def pick(_: Any, __: str, precision: str, ___: Path, *, int8: bool = True) -> tuple[str, str]:
        return "openvino", "int8" if int8 and precision != "float32" else "float32"

    monkeypatch.setattr(served, "pick", pick)
    report, folder = run_training(cache, {"epochs": 1})
    assert report.metrics.execution == (INT8 if good else FLOAT32)
    assert (folder / package.INT8).exists() == good
    if good:
        facts = facts_of(folder / package.INT8)
        assert facts
        assert facts.images == 24
        Predictor.planned(folder, Plan("cpu", "int8", engine="openvino"))


def test_a_pinned_model_is_in_float32(cache: Path, run_training: Any) -> None:
    report, folder = run_training(cache, {"epochs": 1}, precision="float32")
    assert report.metrics.execution == package.read_calibration(folder).execution == FLOAT32


@pytest.mark.parametrize(
    ("worse", "better", "loss", "good"),
    [
        (0, 0, 1.0, True),
        (5, 0, 1.0, False),  # 0.5 points, and significant
        (3, 0, 1.0, True),
        (30, 25, 1.0, True),
        (31, 25, 1.0, False),
        (0, 9, 1.0, True),
        (0, 0, 1.06, False),
        (0, 0, float("nan"), False),
    ],
)
def test_the_gate_is_accuracy_the_paired_test_and_the_loss(worse: int, better: int, loss: float, good: bool) -> None:
    exact, lowered = np.ones(1000, np.bool_), np.ones(1000, np.bool_)
    lowered[:worse] = False
    exact[worse : worse + better] = False
    assert Judged(lowered, loss).as_good_as(Judged(exact, 1.0)) is good
