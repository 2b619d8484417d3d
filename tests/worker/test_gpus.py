"""`tsukiji up` starts an inference worker for each GPU, as `nvidia-smi` tells them."""

import pytest

from tsukiji.kernel.settings import InferenceSettings, Settings
from worker import gpus, supervisor

TWO = """GPU 0: NVIDIA H200 (UUID: GPU-0aa11b22-0000-1111-2222-333344445555)
GPU 1: NVIDIA H200 (UUID: GPU-1bb11b22-0000-1111-2222-333344445555)
"""
FIRST, SECOND = "GPU-0aa11b22-0000-1111-2222-333344445555", "GPU-1bb11b22-0000-1111-2222-333344445555"


@pytest.fixture
def smi(tmp_path, monkeypatch):
    """Put an `nvidia-smi` on the PATH that prints a text and ends with a code."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(gpus.VISIBLE, raising=False)

    def install(text, code=0):
        (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\ntest \"$1\" = -L || exit 9\necho '{text}'\nexit {code}\n")
        (tmp_path / "nvidia-smi").chmod(0o755)

    return install


def workers(device="auto"):
    settings = Settings(inference=InferenceSettings(device=device))
    return {child.name: child.variables.get(gpus.VISIBLE) for child in supervisor.worker_children(settings)}


ONE_EACH = {"train": None, "infer": None, "intake": None, "dispatcher": None}


def test_each_gpu_has_a_worker_of_its_own(smi):
    smi(TWO)
    assert workers() == {"train": None, "infer-1": FIRST, "infer-2": SECOND, "intake": None, "dispatcher": None}
    commands = {child.name: child.arguments for child in supervisor.worker_children(Settings())}
    assert commands["infer-2"] == ["worker", "infer", "--watch-stdin"]


@pytest.mark.parametrize("device", ["cpu", "cuda:1", "mps"])
def test_a_device_that_is_named_is_for_one_worker(smi, device):
    smi(TWO)
    assert workers(device) == ONE_EACH


@pytest.mark.parametrize(("text", "code"), [(TWO.splitlines()[0], 0), ("No devices were found", 6), ("", 0)])
def test_with_one_gpu_or_none_all_is_as_before(smi, text, code):
    smi(text, code)
    assert workers() == ONE_EACH


@pytest.mark.parametrize(
    ("text", "device", "shared"), [(TWO[:70], "auto", True), (TWO[:70], "cpu", False), (TWO, "auto", False)]
)
def test_trainings_and_batches_take_turns_on_the_only_gpu(smi, text, device, shared):
    smi(text)
    settings = Settings(inference=InferenceSettings(device=device))
    names = {child.variables.get(gpus.SHARED) for child in supervisor.worker_children(settings)}
    assert len(names) == 1
    assert str(names.pop()).endswith(FIRST) == shared


def test_without_a_driver_there_is_no_gpu(smi):
    assert workers() == ONE_EACH


def test_gpus_that_are_hidden_stay_hidden(smi, monkeypatch):
    smi(TWO)
    monkeypatch.setenv(gpus.VISIBLE, "1")
    assert workers() == ONE_EACH
    monkeypatch.setenv(gpus.VISIBLE, "2, 3")
    assert workers()["infer-2"] == "3"
    monkeypatch.setenv(gpus.VISIBLE, "")
    assert workers() == ONE_EACH
