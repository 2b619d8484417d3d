import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch
from fastai.vision.learner import create_timm_model, create_vision_model
from torchvision.models import resnet18, resnet34, resnet50

from tests.tsukiji.vision.packages import write_package
from tsukiji.errors import Invalid
from tsukiji.vision.backbones import BACKBONES
from tsukiji.vision.model import build, create_timm, load_fastai_state, strip, timm_stages, to_fastai_state

TIMM = [name for name, backbone in BACKBONES.items() if backbone.library == "timm"]


def fastai_model(arch):
    torch.manual_seed(1)
    if isinstance(arch, str):
        model, _ = create_timm_model(BACKBONES[arch].network, 3, pretrained=False)
        strip(model[0].model, BACKBONES[arch])
    else:
        model = create_vision_model(arch, 3, pretrained=False)
    model.train()
    with torch.no_grad():
        model(torch.randn(4, 3, 64, 64))
    return model.eval()


TRANSFORMERS = [name for name, backbone in BACKBONES.items() if backbone.patch]
CONVOLUTIONAL = [name for name in TIMM if name not in TRANSFORMERS]
RESNETS = [("resnet18", resnet18), ("resnet34", resnet34), ("resnet50", resnet50)]
ARCHITECTURES = [*RESNETS, *zip(CONVOLUTIONAL, CONVOLUTIONAL, strict=True)]


@pytest.mark.parametrize(("name", "arch"), ARCHITECTURES, ids=[name for name, _ in ARCHITECTURES])
@torch.inference_mode()
def test_a_fastai_model_gives_the_same_answers_under_our_names(name, arch):
    theirs, ours = fastai_model(arch), build(name, 3).eval()
    ours.load_state_dict(load_fastai_state(theirs.state_dict()), strict=True)
    images = torch.randn(2, 3, 96, 64)
    assert torch.allclose(ours(images), theirs(images), atol=1e-5)
    theirs.load_state_dict(to_fastai_state(ours.state_dict()), strict=True)  # and back


@pytest.mark.parametrize("name", BACKBONES)
@torch.inference_mode()
def test_the_halves_make_the_whole(name):
    model = build(name, 5).eval()
    images = torch.randn(2, 3, 3 * model.stride, 2 * model.stride)
    maps = model.features(images)
    assert maps.shape == (2, model.num_features, 3, 2)
    assert torch.equal(model.classify(maps), model(images))


@pytest.mark.parametrize(("name", "arch"), RESNETS)
def test_a_resnet_is_torchvisions_to_the_last_bit(name, arch):
    theirs, ours = arch(weights=None), build(name, 5)
    state = {key: tensor for key, tensor in theirs.state_dict().items() if not key.startswith("fc.")}
    assert list(ours.body_state()) == list(state)
    ours.load_body(state)
    theirs.avgpool, theirs.fc = torch.nn.Identity(), torch.nn.Identity()
    images = torch.randn(2, 3, 96, 64)
    assert torch.equal(ours.features(images).flatten(1), theirs(images))


@pytest.mark.parametrize("name", ["efficientnet_lite0", "efficientnet_lite2"])
@pytest.mark.parametrize("learning", [True, False])
@pytest.mark.parametrize("sides", [(64, 96), (75, 33)])
def test_an_efficientnet_lite_is_timms_to_the_last_bit(name, learning, sides):
    theirs, ours = create_timm(BACKBONES[name]).train(learning), build(name, 5).train(learning)
    assert list(ours.body_state()) == list(theirs.state_dict())
    ours.load_body({key: tensor.clone() for key, tensor in theirs.state_dict().items()})
    images = torch.randn(2, 3, *sides)
    found, expected = ours.stages(images), timm_stages(theirs, images)
    assert all(torch.equal(*pair) for pair in zip(found, expected, strict=True))
    for _, maps in (found, expected):
        maps.sum().backward()
    for mine, yours in zip(ours.get_submodule("body").parameters(), theirs.parameters(), strict=True):
        assert torch.equal(mine.grad, yours.grad)
    for mine, yours in zip(ours.body_state().values(), theirs.state_dict().values(), strict=True):
        assert torch.equal(mine, yours)  # what the normalisations have seen as well


@pytest.mark.parametrize("name", ["efficientnet_lite0", "efficientnet_lite2"])
def test_an_efficientnet_lite_starts_as_timms_does(name):
    theirs, ours = create_timm(BACKBONES[name]).state_dict(), build(name, 5).body_state()
    for key in (key for key, tensor in theirs.items() if tensor.ndim == 4 and tensor.numel() > 5000):
        assert ours[key].std().item() == pytest.approx(theirs[key].std().item(), rel=0.1)


CLASSIFY = """
import sys
sys.modules["torchvision"] = sys.modules["timm"] = None
from pathlib import Path
from PIL import Image
import worker.inference.chunks, worker.inference.micro_batcher
from tsukiji.vision.predictor import Predictor
Predictor.load(Path(sys.argv[1]), "cpu").predict([Image.new("RGB", (64, 64))])
"""


def test_a_worker_classifies_without_torchvision_and_timm(tmp_path):
    folder = write_package(tmp_path / "model", backbone="efficientnet_lite0")
    subprocess.run([sys.executable, "-c", CLASSIFY, str(folder)], cwd=Path(__file__).parents[3], check=True)


@pytest.mark.parametrize("name", CONVOLUTIONAL)
@torch.inference_mode()
def test_maps_are_those_of_timms_own_model(name):
    theirs, ours = timm.create_model(BACKBONES[name].network, pretrained=False).eval(), build(name, 5).eval()
    ours.load_body({key: tensor for key, tensor in theirs.state_dict().items() if f"body.{key}" in ours.state_dict()})
    images = torch.randn(1, 3, 64, 64)
    assert torch.equal(ours.features(images), theirs.forward_features(images))


@pytest.mark.parametrize("name", TRANSFORMERS)
@torch.inference_mode()
def test_a_transformers_maps_are_its_tokens_each_in_its_place(name):
    patch = BACKBONES[name].patch
    theirs = timm.create_model(BACKBONES[name].network, pretrained=False, dynamic_img_size=True).eval()
    ours = build(name, 5).eval()
    ours.load_body({key: tensor for key, tensor in theirs.state_dict().items() if f"body.{key}" in ours.state_dict()})
    images = torch.randn(1, 3, 3 * patch, 5 * patch)
    tokens = theirs.forward_features(images)[:, theirs.num_prefix_tokens :]
    assert torch.allclose(ours.features(images)[0, :, 2, 1], tokens[0, 2 * 5 + 1], atol=1e-5)


def test_timms_names_stand_under_body():
    names = list(build("convnext_atto", 2).state_dict())
    assert names[0] == "body.stem.0.weight"
    assert {name.split(".")[0] for name in names} == {"body", "head"}
    assert not any(name.startswith("body.head") for name in names)


@pytest.mark.parametrize("name", ["resnet18", "mobilenetv3_large_100"])
def test_a_body_is_taken_over_and_the_head_left_alone(name):
    given, taken = build(name, 2), build(name, 3)
    head = [tensor.clone() for tensor in taken.head.state_dict().values()]
    taken.load_body(given.body_state())
    assert all(torch.equal(taken.body_state()[key], tensor) for key, tensor in given.body_state().items())
    assert all(torch.equal(*pair) for pair in zip(head, taken.head.state_dict().values(), strict=True))
    with pytest.raises(RuntimeError, match="Missing key"):
        taken.load_body({})


def test_body_names_are_torchvisions():
    body = {name for name in resnet34().state_dict() if not name.startswith("fc.")}
    ours = {name for name in build("resnet34", 2).state_dict() if not name.startswith("head.")}
    assert ours == body


def test_a_fresh_head_starts_as_fastais_does():
    theirs, ours = create_vision_model(resnet18, 10, pretrained=False)[1], build("resnet18", 10).head
    assert str(theirs[2:]).replace("LinBnDrop", "Sequential") == str(ours[2:])
    for mine, yours in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert mine.std(unbiased=False).item() == pytest.approx(yours.std(unbiased=False).item(), rel=0.1)
        assert mine.mean().item() == pytest.approx(yours.mean().item(), abs=2e-3)


def test_an_unknown_backbone_is_named():
    with pytest.raises(Invalid, match="resnet19") as caught:
        build("resnet19", 3)
    assert "resnet34" in caught.value.hint
