import pytest
import torch
from fastai.vision.learner import create_vision_model
from torchvision.models import resnet18, resnet34, resnet50

from tsukiji.errors import Invalid
from tsukiji.vision.model import build, load_fastai_state


def fastai_model(arch):
    torch.manual_seed(1)
    model = create_vision_model(arch, 3, pretrained=False)
    model.train()
    with torch.no_grad():
        model(torch.randn(4, 3, 64, 64))
    return model.eval()


@pytest.mark.parametrize(("name", "arch"), [("resnet18", resnet18), ("resnet50", resnet50)])
@torch.inference_mode()
def test_a_fastai_model_gives_the_same_answers_under_our_names(name, arch):
    theirs, ours = fastai_model(arch), build(name, 3).eval()
    ours.load_state_dict(load_fastai_state(theirs.state_dict()), strict=True)
    images = torch.randn(2, 3, 96, 64)
    assert torch.allclose(ours(images), theirs(images), atol=1e-5)


@torch.inference_mode()
def test_the_halves_make_the_whole():
    model = build("resnet34", 5).eval()
    images = torch.randn(2, 3, 64, 64)
    maps = model.features(images)
    assert maps.shape == (2, model.num_features, 2, 2)
    assert torch.equal(model.classify(maps), model(images))


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
