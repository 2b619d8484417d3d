"""Grad-CAM by the book for every backbone, and the test whether to believe it."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from tests.tsukiji.vision.packages import write_package
from tests.tsukiji.vision.pictures import noise
from tsukiji.vision import heatmap
from tsukiji.vision.backbones import BACKBONES
from tsukiji.vision.heatmap import Sanity, grad_cam, seen_part, try_maps
from tsukiji.vision.model import build
from tsukiji.vision.overlay import draw_heatmap
from tsukiji.vision.package import Calibration, ModelConfig
from tsukiji.vision.plan import Plan
from tsukiji.vision.predictor import Predictor
from tsukiji.vision.preprocess import Preprocess


@pytest.fixture(scope="module")
def predictor(tmp_path_factory):
    return Predictor.load(write_package(tmp_path_factory.mktemp("packages") / "model"), "cpu")


def of_backbone(name, size=64, **plan):
    torch.manual_seed(0)
    model = build(name, 2)
    config = ModelConfig(
        architecture=name, num_classes=2, num_features=model.num_features, label_names=["a", "b"], pretrained=False
    )
    return Predictor(model, config, Preprocess(size), Calibration(), Plan(**plan))


def test_it_is_the_gradient_at_the_last_maps(predictor):
    picture = noise(64, 64, 1)
    maps = predictor.model.features(torch.from_numpy(Preprocess(64).to_array([picture]))).requires_grad_()
    predictor.model.classify(maps)[0, 2].backward()
    expected = (maps.grad.mean((2, 3), keepdim=True) * maps).sum(1)[0].relu().detach().numpy()
    found = grad_cam(predictor, picture, 2)
    assert found.shape == (2, 2)
    assert np.allclose(found, expected / max(expected.max(), 1e-9), atol=1e-4)


@pytest.mark.parametrize("name", BACKBONES)
def test_every_backbone_has_heatmaps(name):
    predictor = of_backbone(name)
    for label in (0, 1):
        found = grad_cam(predictor, noise(64, 64, 2), label)
        assert found.shape == (2, 2)
        assert np.isfinite(found).all()
        assert found.min() >= 0
        assert found.max() == pytest.approx(1) or found.max() == 0


def test_a_lower_precision_changes_little():
    exact, lower = of_backbone("resnet18"), of_backbone("resnet18", precision="bfloat16", folded=True)
    picture = noise(64, 64, 4)
    assert np.allclose(grad_cam(exact, picture, 0), grad_cam(lower, picture, 0), atol=0.1)


@pytest.mark.parametrize("size", [(1, 1), (1, 100), (400, 3)])
def test_a_picture_of_any_size_has_one(predictor, size):
    assert grad_cam(predictor, noise(*size, 3), 0).shape == (2, 2)


@pytest.mark.parametrize(
    ("resize", "box"),
    [("crop", (50, 0, 150, 100)), ("squish", (0, 0, 200, 100)), ("pad", (0, -50, 200, 150))],
)
def test_the_part_that_the_network_sees(predictor, monkeypatch, resize, box):
    monkeypatch.setattr(predictor, "preprocess", Preprocess(64, resize=resize))
    assert seen_part(predictor, 200, 100) == box


def test_maps_that_say_what_counts_beat_random_ones_and_their_opposites_do_not(predictor, monkeypatch):
    """A network that looks at the left half only."""

    def probabilities(_predictor, inputs):
        light = inputs[:, :, :, :32].float().mean((1, 2, 3)).sigmoid().numpy()
        return np.stack([light, 1 - light], axis=1)

    monkeypatch.setattr(heatmap, "_probabilities", probabilities)
    left = np.array([[1, 0.2], [0.9, 0.1]], np.float32)
    pictures = [Image.new("RGB", (64, 64), (250, 250, 250 - seed)) for seed in range(12)]
    for values, good in ((left, True), (1 - left, False)):
        monkeypatch.setattr(heatmap, "_grad_cam", lambda *_, values=values: values)
        monkeypatch.setattr(heatmap, "COARSE", 1000)
        found = try_maps(predictor, pictures)
        assert found.pictures == 12
        assert (found.beats_random >= 0.5) == good


@pytest.mark.parametrize(
    ("sanity", "word"), [(Sanity(9, 1.0), "only 9"), (Sanity(20, 0.75), "75%"), (Sanity(20, 0.8), None)]
)
def test_heatmaps_are_withheld_with_a_reason(sanity, word):
    assert sanity.refusal is None if word is None else word in sanity.refusal


def test_the_overlay_is_warm_where_the_values_are_high():
    picture = Image.new("RGB", (200, 100), (128, 128, 128))
    png = draw_heatmap(picture, (2000, 1000), [[0.0, 1.0]], (500, 0, 1500, 1000))
    shown = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)
    assert shown.shape == (100, 200, 3)
    assert (shown[50, 20] == 128).all(), "outside of what the network saw nothing is drawn"
    assert shown[50, 140, 0] > shown[50, 140, 2] + 50
    assert abs(shown[50, 60] - 128).max() < 12


@pytest.mark.parametrize(("size", "box"), [((1, 1), (0, 0, 1, 1)), ((3, 300), (-150, 0, 150, 300))])
def test_small_and_narrow_pictures_have_overlays(size, box):
    png = draw_heatmap(Image.new("RGB", size), size, [[0.5, 1.0], [0.0, 0.2]], box)
    assert Image.open(io.BytesIO(png)).size == size
