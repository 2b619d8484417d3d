"""The table of backbones, held against the libraries that it speaks of."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
import timm
import torch
from torchvision.models import get_model_weights
from torchvision.transforms._presets import ImageClassification

from tsukiji.errors import Invalid
from tsukiji.types import Backbone
from tsukiji.vision.backbones import BACKBONES, backbone_of, preprocess_of, torch_cache

TORCHVISION = [backbone for backbone in BACKBONES.values() if backbone.library == "torchvision"]
TIMM = [backbone for backbone in BACKBONES.values() if backbone.library == "timm"]


def test_what_a_recipe_may_name_is_what_there_is():
    assert get_args(Backbone) == tuple(BACKBONES)


@pytest.mark.parametrize("backbone", TORCHVISION, ids=lambda backbone: backbone.name)
def test_torchvisions_weights(backbone):
    versions = get_model_weights(backbone.name)
    assert backbone.tags[0] == Path(versions.DEFAULT.url).name
    assert set(backbone.tags) == {Path(version.url).name for version in versions}
    for version in versions:
        expected = version.transforms()
        assert isinstance(expected, ImageClassification)
        assert (backbone.mean, backbone.std) == (tuple(expected.mean), tuple(expected.std))


@pytest.mark.parametrize("backbone", TIMM, ids=lambda backbone: backbone.name)
def test_timms_weights(backbone):
    facts = timm.get_pretrained_cfg(f"{backbone.name}.{backbone.tags[0]}")
    assert facts.hf_hub_id == backbone.hub
    assert (backbone.mean, backbone.std) == (facts.mean, facts.std)
    assert facts.license == "apache-2.0"


@pytest.mark.parametrize("backbone", TIMM, ids=lambda backbone: backbone.name)
def test_timm_has_the_parts_that_are_left_out(backbone):
    model = timm.create_model(backbone.name, pretrained=False)
    assert set(backbone.left_out) <= {name for name, _ in model.named_children()}


def test_torchs_cache_is_where_torch_says(monkeypatch, tmp_path):
    for variables in ({}, {"XDG_CACHE_HOME": str(tmp_path)}, {"TORCH_HOME": "~/somewhere"}):
        for name in ("TORCH_HOME", "XDG_CACHE_HOME"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        assert torch_cache() == Path(torch.hub.get_dir()) / "checkpoints"


def test_pixels_are_normalised_as_the_weights_expect(monkeypatch):
    other = replace(BACKBONES["resnet18"], mean=(0.5,) * 3, std=(1.0,) * 3)
    monkeypatch.setitem(BACKBONES, "resnet18", other)
    found = preprocess_of("resnet18", 96)
    assert (found.size, found.mean, found.std) == (96, (0.5,) * 3, (1.0,) * 3)
    assert preprocess_of("resnet34", 64).mean == (0.485, 0.456, 0.406)


def test_an_unknown_backbone_is_named():
    with pytest.raises(Invalid, match="alexnet") as caught:
        backbone_of("alexnet")
    assert "convnext_atto" in caught.value.hint


def test_a_listing_takes_no_torch():
    code = "import sys, tsukiji.vision.weights_folder; sys.exit({'torch', 'timm'} & sys.modules.keys() != set())"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3], check=False).returncode == 0
