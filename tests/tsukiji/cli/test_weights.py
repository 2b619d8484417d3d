import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tsukiji.cli import weights as commands
from tsukiji.vision import weights
from tsukiji.vision.backbones import BACKBONES
from tsukiji.vision.model import build


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The weights folder; no library has anything in its cache."""
    for name in ("TORCH_HOME", "HF_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("TSUKIJI_WEIGHTS_DIR", str(tmp_path / "weights"))
    return tmp_path / "weights"


@pytest.fixture(scope="module")
def state():
    return build("resnet18", 2).body_state()


def test_an_added_file_is_listed(run, folder, state, tmp_path, monkeypatch):
    torch.save(state, tmp_path / "mine.pth")
    monkeypatch.chdir(tmp_path)
    result = run("weights", "add", "mine.pth")
    assert result.exit_code == 0
    assert "weights folder (resnet18.safetensors)" in result.stdout
    listed = [json.loads(line) for line in run("weights", "ls", "--json").stdout.splitlines()]
    assert [found["backbone"] for found in listed] == [
        backbone.name for backbone in BACKBONES.values() for _ in backbone.weights
    ]
    path = folder / "resnet18.safetensors"
    assert listed[0] == {
        "backbone": "resnet18",
        "weights": "torchvision",
        "library": "torchvision",
        "place": "weights folder (resnet18.safetensors)",
        "path": str(path),
        "bytes": path.stat().st_size,
    }
    here = [found["backbone"] for found in listed[1:] if found["place"]]
    assert here == ["efficientnet_lite0", "efficientnet_lite2"]  # which packages brought
    loaded, _ = weights.load_backbone_weights("resnet18", folder=folder, download=False)
    assert torch.equal(loaded["conv1.weight"], state["conv1.weight"])


def test_a_list_for_people_has_sizes_and_the_way_out(run, folder, state):
    folder.mkdir()
    save_file(state, folder / "resnet18.safetensors")
    result = run("weights", "ls")
    rows = dict(line.split("\t", 1) for line in reversed(result.stdout.splitlines()))  # a backbone's default ones win
    assert rows["resnet18"].split("\t")[2:4] == ["weights folder (resnet18.safetensors)", "44.8 MB"]
    assert rows["resnet34"] == "torchvision\ttorchvision\tnot here\t-\t-"
    assert "tsukiji weights add FILE" in result.stderr


def test_a_file_that_does_not_fit_is_refused(run, folder, state, tmp_path):
    save_file(state | {"bn1.bias": torch.full((64,), float("nan"))}, tmp_path / "x.safetensors")
    result = run("weights", "add", tmp_path / "x.safetensors")
    assert result.exit_code == 1
    assert "not numbers, in bn1.bias" in result.stderr
    assert run("weights", "add", tmp_path / "x.safetensors", "--backbone", "resnet34").exit_code == 1
    assert not folder.exists()


def test_an_unknown_backbone_is_named(run):
    result = run("weights", "fetch", "alexnet")
    assert result.exit_code == 1
    assert "alexnet" in result.stderr
    assert "convnext_tiny" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_data_folder_is_the_default(run, tmp_path, state, monkeypatch):
    monkeypatch.delenv("TSUKIJI_WEIGHTS_DIR")
    monkeypatch.setenv("TSUKIJI_DATA_DIR", "data")
    monkeypatch.chdir(tmp_path)
    Path("data/weights").mkdir(parents=True)
    save_file(state, "data/weights/resnet18.safetensors")
    found = json.loads(run("weights", "ls", "--json").stdout.splitlines()[0])
    assert found["path"] == str(tmp_path / "data/weights/resnet18.safetensors")


def test_without_pytorch_it_says_what_to_install(run, monkeypatch, tmp_path):
    monkeypatch.setattr(commands, "find_spec", lambda name: None if name.startswith("torch") else name)
    (tmp_path / "x.pth").touch()
    for command in (["fetch", "resnet18"], ["add", tmp_path / "x.pth"]):
        result = run("weights", *command)
        assert result.exit_code == 1
        assert "This needs torch, torchvision" in result.stderr
        assert ".[service,inference]" in result.stderr
    assert run("weights", "ls").exit_code == 0
