"""An ONNX file answers as the network does, for any number of images, and says how it is to be fed."""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from PIL import Image

from tests.tsukiji.vision.packages import LABELS, write_package
from tsukiji.errors import ExportFailed, PackageInvalid
from tsukiji.vision import onnx as exporter
from tsukiji.vision.onnx import export_onnx
from tsukiji.vision.predictor import Predictor

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of the exporter's own libraries
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


def noise(count, seed=0):
    random = np.random.default_rng(seed)
    return [Image.fromarray(random.integers(0, 256, (70, 90, 3), np.uint8)) for _ in range(count)]


@pytest.fixture(scope="module")
def package_folder(tmp_path_factory):
    return write_package(tmp_path_factory.mktemp("onnx") / "model", temperature=1.6)


@pytest.fixture(scope="module")
def exported(package_folder, tmp_path_factory):
    target = tmp_path_factory.mktemp("exported") / "model.onnx"
    return target, export_onnx(package_folder, target, noise(20))


def test_the_file_answers_as_the_service_does_for_any_number_of_images(package_folder, exported):
    target, facts = exported
    session = onnxruntime.InferenceSession(target, providers=["CPUExecutionProvider"])
    predictor = Predictor.load(package_folder, "cpu")
    for count in (1, 5):
        images = noise(count, seed=count)
        (found,) = session.run(["probabilities"], {"images": predictor.preprocess.to_array(images)})
        assert np.abs(found - predictor.predict(images)).max() < 1e-4, "temperature and softmax included"
    assert facts["images"] == 20
    assert facts["top1_agreement"] == 1
    assert facts["max_difference"] < 1e-4


def test_of_several_labels_each_probability_is_of_its_own(tmp_path):
    folder = write_package(
        tmp_path / "model", temperature=1.6, thresholds=[0.2, 0.4, 0.6], backbone="efficientnet_lite0"
    )
    facts = export_onnx(folder, tmp_path / "model.onnx", noise(3))
    assert facts["max_difference"] < 1e-4, "sigmoid and temperature included"
    told = {entry.key: json.loads(entry.value) for entry in onnx.load(tmp_path / "model.onnx").metadata_props}
    assert (told["kind"], told["thresholds"]) == ("multi_label", [0.2, 0.4, 0.6])


def test_the_file_is_one_file_that_says_how_it_is_to_be_fed(exported):
    target, facts = exported
    assert [path.name for path in target.parent.iterdir()] == ["model.onnx"]
    model = onnx.load(target)
    told = {entry.key: json.loads(entry.value) for entry in model.metadata_props}
    assert told["label_names"] == LABELS
    assert told["preprocess"]["size"] == 64
    assert facts["opset"] == model.opset_import[0].version
    assert facts["input"] == {"name": "images", "dtype": "float32", "shape": ["batch", 3, 64, 64]}
    assert facts["versions"]["onnxruntime"] == onnxruntime.__version__


def test_the_file_names_no_file_of_this_machine(exported):
    data = exported[0].read_bytes()
    assert not [path for path in (str(Path(__file__).parents[3]), sys.prefix) if path.encode() in data]


def test_a_missing_library_is_named_with_the_way_out(package_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(exporter, "LIBRARIES", ("onnx_that_nobody_has",))
    with pytest.raises(ExportFailed, match="onnx_that_nobody_has") as raised:
        export_onnx(package_folder, tmp_path / "model.onnx", noise(1))
    assert "[export]" in raised.value.hint


def test_a_file_that_answers_otherwise_is_not_handed_out(package_folder, tmp_path, monkeypatch):
    real = exporter.Calibrated
    monkeypatch.setattr(exporter, "Calibrated", lambda model, temperature, kind: real(model, 3 * temperature, kind))
    with pytest.raises(ExportFailed, match="differ"):
        export_onnx(package_folder, tmp_path / "model.onnx", noise(2))


def test_a_damaged_package_is_not_exported(package_folder, tmp_path):
    for path in package_folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(PackageInvalid):
        export_onnx(tmp_path, tmp_path / "model.onnx", noise(1))
