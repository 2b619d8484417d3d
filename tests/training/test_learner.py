"""fastai's learner on every backbone, and our network beside it."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import torch
from fastai.learner import Learner
from safetensors.torch import save_file
from torch import nn

from tests.training.conftest import MakeRun
from training.data import load_data
from training.learner import build_learner
from training.run import load
from tsukiji.errors import BackboneUnavailable
from tsukiji.vision import package
from tsukiji.vision.backbones import BACKBONES, preprocess_of
from tsukiji.vision.decoding.decode import DecodeLimits
from tsukiji.vision.model import Classifier, build, load_fastai_state
from tsukiji.vision.package import Calibration, ModelConfig
from tsukiji.vision.predictor import Predictor

CPU = torch.device("cpu")


def learner_of(folder: Path, body: dict[str, torch.Tensor] | None = None) -> Learner:
    run = load(folder)
    torch.manual_seed(0)
    preprocess = preprocess_of(run.recipe.backbone, run.recipe.image_size)
    return build_learner(run.recipe, load_data(run, preprocess, CPU), body)


@pytest.mark.parametrize("name", BACKBONES)
def test_a_step_of_fastai_then_the_same_logits_from_us(make_run: MakeRun, tmp_path: Path, name: str) -> None:
    side = 4 * (BACKBONES[name].patch or 16)
    found = learner_of(make_run(recipe={"backbone": name, "image_size": side}))
    images, labels = next(iter(found.dls.train))
    loss = found.loss_func(found.model.train()(images), labels)
    loss.backward()
    used = [parameter.grad is not None for parameter in found.model.parameters()]
    assert all(used)  # nothing is carried along that has no say
    found.model.eval()
    ours = build(name, 3).eval()
    ours.load_state_dict(load_fastai_state(found.model.state_dict()), strict=True)
    held_out, _ = next(iter(found.dls.valid))
    with torch.inference_mode():
        theirs = found.model(held_out)
        torch.testing.assert_close(ours(held_out), theirs, rtol=0, atol=1e-5, check_stride=False)
    predictor = Predictor.load(packed(tmp_path / "package", name, ours, side), "cpu")
    preprocess, limits = predictor.preprocess, DecodeLimits()
    assert preprocess == preprocess_of(name, side)
    pictures = [picture.open(limits, side) for picture in load(tmp_path / "run").images if picture.split == "valid"]
    served = torch.from_numpy(predictor.predict(pictures[: len(held_out)]))
    torch.testing.assert_close(served, torch.Tensor(theirs).softmax(1), rtol=0, atol=1e-5)


def packed(folder: Path, name: str, model: Classifier, side: int) -> Path:
    """Write a package that has no word of fastai's in it."""
    folder.mkdir()
    labels = ["blue", "green", "red"]
    config = ModelConfig(
        architecture=name, num_classes=3, num_features=model.num_features, label_names=labels, pretrained=False
    )
    save_file(model.state_dict(), folder / package.WEIGHTS)
    package.write_part(folder, package.CONFIG, config)
    package.write_part(folder, package.PREPROCESS, preprocess_of(name, side))
    package.write_part(folder, package.CALIBRATION, Calibration())
    package.seal(folder, model_id="mdl_1", created=datetime(2026, 1, 2, tzinfo=UTC), versions={})
    return folder


@pytest.mark.parametrize("name", ["resnet18", "mobilenetv3_large_100", "convnext_atto"])
def test_a_pretrained_body_is_taken_over_and_frozen_but_for_its_norms(make_run: MakeRun, name: str) -> None:
    body = build(name, 2).body_state()
    found = learner_of(make_run(recipe={"backbone": name}), body)
    ours = build(name, 3)
    ours.load_state_dict(load_fastai_state(found.model.state_dict()))
    assert all(torch.equal(tensor, body[key]) for key, tensor in ours.body_state().items())
    norms = [module for module in found.model[0].modules() if isinstance(module, nn.BatchNorm2d | nn.LayerNorm)]
    trained = {id(parameter) for module in norms for parameter in module.parameters()}
    assert all(parameter.requires_grad is (id(parameter) in trained) for parameter in found.model[0].parameters())
    assert all(parameter.requires_grad for parameter in found.model[1].parameters())


def test_without_timm_a_backbone_of_it_says_so(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(BackboneUnavailable, match="needs timm"):
        learner_of(make_run(recipe={"backbone": "efficientnet_b0"}))
