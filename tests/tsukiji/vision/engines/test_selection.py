"""The fastest engine is measured once for a processor and versions; settings override it; without OpenVINO, PyTorch."""

import json

import numpy as np
import pytest
import torch

from tsukiji.errors import Invalid, WeightsInvalid, WeightsUnavailable
from tsukiji.kernel.settings import InferenceSettings
from tsukiji.types.execution import Execution
from tsukiji.vision.backbones import preprocess_of
from tsukiji.vision.engines import graphs, selection, speeds
from tsukiji.vision.engines.opening import open_engine
from tsukiji.vision.engines.selection import choose, choose_as, pick
from tsukiji.vision.engines.speeds import FILE, recall
from tsukiji.vision.execution_plan import Plan
from tsukiji.vision.model import build_on
from tsukiji.vision.weights import load_backbone_weights

CPU = torch.device("cpu")
FLOAT32, BFLOAT16, INT8 = (("openvino", precision) for precision in ("float32", "bfloat16", "int8"))
TORCH = ("torch", "float32")


@pytest.fixture
def machine(monkeypatch):
    """Simulate a processor with these speeds; counts the measurements."""
    counted = []

    def pretend(**told):
        of = {TORCH: 20.0, ("torch", "bfloat16"): 40.0, FLOAT32: 50.0, BFLOAT16: 100.0, INT8: 200.0}
        of |= {("openvino", precision): speed for precision, speed in told.items()}

        def speed_of(engine, precision, _):
            counted.append((engine, precision))
            return of[engine, precision]

        monkeypatch.setattr(selection, "speed_of", speed_of)
        ours = lambda _, engine: [one for one in of if one[0] == engine and of[one]]  # noqa: E731
        monkeypatch.setattr(selection, "abilities", ours)
        return counted

    return pretend


def test_the_fastest_is_chosen_and_measured_once(machine, tmp_path):
    counted = machine()
    assert pick(CPU, "auto", "auto", tmp_path) == INT8
    assert pick(CPU, "auto", "auto", tmp_path, int8=False) == BFLOAT16
    assert len(counted) == 5
    assert [one.precision for one in recall(tmp_path)] == ["int8", "bfloat16", "float32", "bfloat16", "float32"]


def test_int8_must_gain_much(machine, tmp_path):
    machine(int8=110.0)
    assert pick(CPU, "auto", "auto", tmp_path) == BFLOAT16


def test_pytorch_is_chosen_where_it_is_faster(machine, tmp_path):
    machine(float32=15.0, bfloat16=0.0, int8=0.0)
    assert pick(CPU, "auto", "auto", tmp_path) == ("torch", "bfloat16")


def test_settings_override_it(machine, tmp_path):
    counted = machine()
    assert pick(CPU, "torch", "auto", tmp_path) == ("torch", "bfloat16")
    assert pick(CPU, "openvino", "float32", tmp_path) == FLOAT32
    assert pick(CPU, "auto", "int8", tmp_path) == INT8
    assert pick(CPU, "auto", "float16", tmp_path) == ("torch", "float16")
    assert counted == [], "there was nothing to choose"
    assert pick(CPU, "auto", "int8", tmp_path, int8=False) == BFLOAT16
    asked = InferenceSettings(device="cpu", engine="openvino", precision="float32")
    assert choose(asked, tmp_path).engine == "openvino"


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"machine": 1, "speeds": []}'])
def test_a_damaged_file_is_measured_again(machine, tmp_path, content):
    machine()
    (tmp_path / FILE).write_text(content)
    assert pick(CPU, "auto", "auto", tmp_path) == INT8
    assert recall(tmp_path)


def test_another_processor_or_version_is_measured_again(machine, tmp_path, monkeypatch):
    counted = machine()
    pick(CPU, "auto", "auto", tmp_path)
    monkeypatch.setattr(speeds, "processor", lambda: "another")
    assert recall(tmp_path) == []
    pick(CPU, "auto", "auto", tmp_path)
    assert len(counted) == 10
    kept = json.loads((tmp_path / FILE).read_text())["machine"]
    assert kept["processor"] == "another"
    assert kept["versions"]["torch"]


def test_without_openvino_pytorch_computes_as_ever(monkeypatch, tmp_path):
    monkeypatch.setattr(selection, "installed", lambda _: None)
    monkeypatch.setattr(selection, "speed_of", lambda *_: pytest.fail("there is nothing to measure"))
    assert pick(CPU, "auto", "auto", tmp_path)[0] == "torch"
    assert choose(InferenceSettings(device="cpu", engine="auto", precision="float32"), tmp_path).engine == "torch"
    with pytest.raises(Invalid, match="OpenVINO is not available"):
        pick(CPU, "openvino", "auto", tmp_path)
    told = Execution(engine="openvino", precision="float32")
    assert choose_as(told, InferenceSettings(device="cpu", engine="auto"), tmp_path, int8=True) is None


def test_a_model_runs_as_it_was_evaluated_if_the_machine_can(machine, tmp_path):
    machine(bfloat16=0.0)
    settings = InferenceSettings(device="cpu", engine="auto")

    def plan(evaluated, int8=True, **changes):
        told = Execution(engine="openvino", precision=evaluated)
        return choose_as(told, settings.model_copy(update=changes), tmp_path, int8=int8)

    assert plan("int8").precision == "int8"
    assert plan("float32").precision == "float32"
    assert plan("int8", int8=False) is None, "its quantised body is gone"
    assert plan("bfloat16") is None, "this processor does not multiply it"
    assert plan("int8", precision="float32") is None
    assert plan("int8", engine="torch") is None


def test_a_measurement_is_one_of_the_real_engine(monkeypatch, tmp_path):
    monkeypatch.setattr(selection, "SIDE", 32)
    monkeypatch.setattr(selection, "LEAST_SECONDS", 0)
    assert all(selection.speed_of(*choice, tmp_path) > 0 for choice in (TORCH, INT8))


def test_the_first_training_finds_what_was_measured_converted(monkeypatch, tmp_path):
    monkeypatch.setattr(selection, "SIDE", 32)
    monkeypatch.setattr(selection, "LEAST_SECONDS", 0)
    selection.speed_of("openvino", "float32", tmp_path)
    monkeypatch.setattr(graphs, "convert", lambda *_: pytest.fail("it was converted again"))
    body, _ = load_backbone_weights(selection.NETWORK, folder=None, download=False)
    model, preprocess = build_on(selection.NETWORK, body, 3, "linear_v1"), preprocess_of(selection.NETWORK, 32)
    plan = Plan("cpu", "float32", engine="openvino", threads=1)
    engine = open_engine(model, selection.NETWORK, preprocess, plan, tmp_path)
    assert engine.look(np.zeros((1, 32, 32, 3), np.uint8))[0].shape == (1, model.num_embedded)


@pytest.mark.parametrize("fault", [WeightsUnavailable, WeightsInvalid])
def test_without_good_weights_random_ones_are_measured(monkeypatch, tmp_path, fault):
    def refuse(*_, **__):
        raise fault("no")

    monkeypatch.setattr(selection, "SIDE", 32)
    monkeypatch.setattr(selection, "LEAST_SECONDS", 0)
    monkeypatch.setattr(selection, "load_backbone_weights", refuse)
    assert selection.speed_of("openvino", "float32", tmp_path) > 0
