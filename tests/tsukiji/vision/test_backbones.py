"""The table of backbones, held against the libraries that it speaks of."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
import timm
import torch
from pydantic import ValidationError
from torchvision.models import get_model_weights
from torchvision.transforms._presets import ImageClassification

from tsukiji.errors import Invalid
from tsukiji.types import Backbone, Recipe
from tsukiji.types.trainings import PATCHES, WEIGHTS_OF, Weights
from tsukiji.vision.backbones import BACKBONES, backbone_of, preprocess_of, torch_cache

WEIGHTS = [(backbone, weights) for backbone in BACKBONES.values() for weights in backbone.weights]
TORCHVISION = [pair for pair in WEIGHTS if pair[1].library == "torchvision"]
TIMM = [pair for pair in WEIGHTS if pair[1].library == "timm"]


def names(pairs):
    return [f"{backbone.name}-{weights.name}" for backbone, weights in pairs]


def test_what_a_recipe_may_name_is_what_there_is():
    assert get_args(Backbone) == tuple(BACKBONES)
    assert {name: backbone.patch for name, backbone in BACKBONES.items() if backbone.patch} == PATCHES
    for name, backbones in WEIGHTS_OF.items():
        has_them = [backbone.name for backbone, weights in WEIGHTS if weights.name == name]
        assert has_them == list(backbones)
    several = [weights.name for backbone, weights in WEIGHTS if len(backbone.weights) > 1]
    assert set(several) <= set(get_args(Weights))


def test_weights_that_a_backbone_does_not_have_are_refused():
    with pytest.raises(ValidationError, match="ra4 are for resnet34 only"):
        Recipe(backbone="resnet18", weights="ra4")
    with pytest.raises(Invalid, match="no weights 'ra4' for the backbone resnet18"):
        backbone_of("resnet18").pretrained("ra4")


def test_a_transformer_takes_whole_patches():
    with pytest.raises(ValidationError, match=r"multiple of 14 .* for instance 224"):
        Recipe(backbone="vit_small_patch14_dinov2", image_size=225)
    assert Recipe(backbone="vit_small_patch14_dinov2").image_size == 224


@pytest.mark.parametrize(("backbone", "weights"), TORCHVISION, ids=names(TORCHVISION))
def test_torchvisions_weights(backbone, weights):
    versions = get_model_weights(backbone.network)
    assert weights.files[0] == Path(versions.DEFAULT.url).name
    assert set(weights.files) == {Path(version.url).name for version in versions}
    for version in versions:
        expected = version.transforms()
        assert isinstance(expected, ImageClassification)
        assert (weights.mean, weights.std) == (tuple(expected.mean), tuple(expected.std))


@pytest.mark.parametrize(("backbone", "weights"), TIMM, ids=names(TIMM))
def test_timms_weights(backbone, weights):
    facts = timm.get_pretrained_cfg(weights.files[0])
    assert facts.architecture == backbone.network
    assert facts.hf_hub_id == weights.hub
    assert (weights.mean, weights.std) == (facts.mean, facts.std)
    assert facts.license == "apache-2.0"


@pytest.mark.parametrize(
    "backbone", [one for one in BACKBONES.values() if one.library == "timm"], ids=lambda one: one.name
)
def test_timm_has_the_parts_that_are_left_out(backbone):
    with torch.device("meta"):
        model = timm.create_model(backbone.network, pretrained=False)
    assert set(backbone.left_out) <= {name for name, _ in model.named_children()}


def test_torchs_cache_is_where_torch_says(monkeypatch, tmp_path):
    for variables in ({}, {"XDG_CACHE_HOME": str(tmp_path)}, {"TORCH_HOME": "~/somewhere"}):
        for name in ("TORCH_HOME", "XDG_CACHE_HOME"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        assert torch_cache() == Path(torch.hub.get_dir()) / "checkpoints"


def test_pixels_are_normalised_as_the_weights_expect(monkeypatch):
    backbone = BACKBONES["resnet18"]
    other = replace(backbone, weights=(replace(backbone.weights[0], mean=(0.5,) * 3, std=(1.0,) * 3),))
    monkeypatch.setitem(BACKBONES, "resnet18", other)
    found = preprocess_of("resnet18", 96)
    assert (found.size, found.mean, found.std) == (96, (0.5,) * 3, (1.0,) * 3)
    assert preprocess_of("resnet34", 64).mean == (0.485, 0.456, 0.406)
    assert preprocess_of("resnet34", 64, "ra4").mean == (0.5, 0.5, 0.5)


def test_an_unknown_backbone_is_named():
    with pytest.raises(Invalid, match="alexnet") as caught:
        backbone_of("alexnet")
    assert "convnext_atto" in caught.value.hint


def test_a_listing_takes_no_torch():
    code = "import sys, tsukiji.vision.weights_folder; sys.exit({'torch', 'timm'} & sys.modules.keys() != set())"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3], check=False).returncode == 0
