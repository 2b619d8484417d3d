"""Grad-CAM by the book and occlusion for every backbone, and the test whether to believe them."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from tests.tsukiji.vision.packages import write_package
from tests.tsukiji.vision.pictures import noise
from tsukiji.explain import heatmap, heatmap_validation
from tsukiji.explain.heatmap import CELLS, explain, seen_part
from tsukiji.explain.heatmap_validation import HeatmapValidation, try_maps
from tsukiji.explain.overlay import draw_heatmap
from tsukiji.vision.backbones import BACKBONES
from tsukiji.vision.execution_plan import Plan
from tsukiji.vision.model import build
from tsukiji.vision.package import Calibration, ModelConfig
from tsukiji.vision.predictor import Predictor
from tsukiji.vision.preprocess import Preprocess

SHAPES = {"grad_cam": (2, 2), "occlusion": (CELLS, CELLS)}


def upper_left(_predictor, inputs):
    """Say that the first label is likelier, the lighter the upper left corner: a network that looks nowhere else."""
    light = inputs[:, :, :12, :12].float().mean((1, 2, 3)).sigmoid().numpy()
    return np.stack([light, 1 - light], axis=1)


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
    found = explain(predictor, picture, 2, "grad_cam")
    assert found.shape == (2, 2)
    assert np.allclose(found, expected / max(expected.max(), 1e-9), atol=1e-4)


@pytest.mark.parametrize("method", heatmap.METHODS)
@pytest.mark.parametrize("name", BACKBONES)
def test_every_backbone_has_heatmaps(name, method):
    side = 4 * (BACKBONES[name].patch or 16)
    predictor = of_backbone(name, side)
    cells = side // predictor.model.stride
    for label in (0, 1):
        found = explain(predictor, noise(64, 64, 2), label, method)
        assert found.shape == ((cells, cells) if method == "grad_cam" else SHAPES[method])
        assert np.isfinite(found).all()
        assert found.min() >= 0
        assert found.max() == pytest.approx(1) or found.max() == 0


def test_a_lower_precision_changes_little():
    """In the mean: a single map of a random network may lean on a difference that is smaller than bfloat16 can say."""
    exact, lower = of_backbone("resnet18"), of_backbone("resnet18", precision="bfloat16", folded=True)
    pictures = [noise(64, 64, seed) for seed in range(8)]
    maps = [[explain(predictor, each, 0, "grad_cam") for each in pictures] for predictor in (exact, lower)]
    assert np.abs(np.array(maps[0]) - np.array(maps[1])).mean() < 0.1


@pytest.mark.parametrize("method", heatmap.METHODS)
@pytest.mark.parametrize("size", [(1, 1), (1, 100), (400, 3)])
def test_a_picture_of_any_size_has_one(predictor, size, method):
    assert explain(predictor, noise(*size, 3), 0, method).shape == SHAPES[method]


def test_occlusion_finds_the_cell_that_counts(predictor, monkeypatch):
    monkeypatch.setattr(heatmap, "probabilities_of", upper_left)
    found = explain(predictor, Image.new("RGB", (64, 64), (250, 250, 250)), 0, "occlusion")
    assert found[0, 0] == 1
    assert found[1:, 1:].max() < 0.1
    against = explain(predictor, Image.new("RGB", (64, 64), (250, 250, 250)), 1, "occlusion")
    assert against.max() < 1e-3 or against[0, 0] == 0


@pytest.mark.parametrize(
    ("resize", "box"),
    [("crop", (50, 0, 150, 100)), ("squish", (0, 0, 200, 100)), ("pad", (0, -50, 200, 150))],
)
def test_the_part_that_the_network_sees(predictor, monkeypatch, resize, box):
    monkeypatch.setattr(predictor, "preprocess", Preprocess(64, resize=resize))
    assert seen_part(predictor, 200, 100) == box


def test_maps_that_say_what_counts_beat_random_ones_and_their_opposites_do_not(predictor, monkeypatch):
    good = np.array([[1, 0.2], [0.2, 0.1]], np.float32)
    pictures = [Image.new("RGB", (64, 64), (250, 250, 250 - seed)) for seed in range(12)]
    monkeypatch.setattr(heatmap_validation, "probabilities_of", upper_left)
    monkeypatch.setattr(heatmap, "COARSE", 1000)
    made = {"grad_cam": lambda *_: 1 - good, "occlusion": lambda *_: good}
    monkeypatch.setattr(heatmap_validation, "METHODS", made)
    found = try_maps(predictor, pictures)
    assert found.pictures == 12
    assert found.shares["grad_cam"] < 0.5 < found.shares["occlusion"]
    assert (found.method, found.beats_random) == ("occlusion", found.shares["occlusion"])


def test_where_both_fare_alike_the_cheaper_is_taken():
    assert HeatmapValidation(20, {"grad_cam": 0.9, "occlusion": 0.9}).method == "grad_cam"


@pytest.mark.parametrize(
    ("pictures", "share", "word"), [(9, 1.0, "only 9"), (20, 0.75, "75%"), (20, 0.8, None), (0, None, "only 0")]
)
def test_heatmaps_are_withheld_with_a_reason(pictures, share, word):
    found = HeatmapValidation(pictures, {} if share is None else {"grad_cam": 0.5, "occlusion": share})
    assert found.refusal is None if word is None else word in found.refusal


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
