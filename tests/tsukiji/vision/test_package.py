import json
from typing import get_args

import pytest
import torch

from devtools.vision_shapes import measured
from tests.tsukiji.vision.packages import LABELS, seal, write_package
from tsukiji.errors import PackageInvalid
from tsukiji.vision import package
from tsukiji.vision.backbones import BACKBONES
from tsukiji.vision.model import build
from tsukiji.vision.package import Calibration, ModelConfig
from tsukiji.vision.preprocess import Preprocess
from tsukiji.vision.shapes import Head, architecture_of, dtype_of


@pytest.fixture(scope="module")
def sealed(tmp_path_factory):
    return write_package(tmp_path_factory.mktemp("sealed") / "model", temperature=1.5)


@pytest.fixture
def folder(sealed, tmp_path):
    """A copy to spoil; hard links would spoil the original."""
    for path in sealed.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def rewrite(path, **members):
    path.write_text(json.dumps(json.loads(path.read_text()) | members))


def test_what_is_written_is_read(folder):
    manifest = package.verify(folder)
    assert manifest.format == "tsukiji-model/1"
    assert (manifest.model_id, manifest.versions, manifest.created.year) == ("mdl_1", {"torch": "2"}, 2026)
    assert set(manifest.files) == {
        "model.safetensors",
        "config.json",
        "preprocess.json",
        "calibration.json",
        "README.md",
    }
    assert manifest.files["model.safetensors"].bytes == (folder / "model.safetensors").stat().st_size
    assert package.read_config(folder).label_names == LABELS
    assert package.read_preprocess(folder) == Preprocess(64)
    assert package.read_calibration(folder) == Calibration(temperature=1.5)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "README.md"])
def test_an_altered_file_is_found(folder, name):
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(PackageInvalid, match=f"{name} was modified"):
        package.verify(folder)


@pytest.mark.parametrize("name", ["model.safetensors", "README.md", "manifest.json"])
def test_a_missing_file_is_found(folder, name):
    (folder / name).unlink()
    with pytest.raises(PackageInvalid, match=f"{name} is missing"):
        package.verify(folder)


def test_a_file_that_came_later_is_found(folder):
    (folder / "extra.json").write_text("{}")
    with pytest.raises(PackageInvalid, match=r"does not list extra\.json"):
        package.verify(folder)


@pytest.mark.parametrize("name", ["model.pkl", "weights.pth", "code.py", ".hidden.json"])
def test_what_could_run_is_never_sealed(folder, name):
    (folder / name).write_bytes(b"x")
    with pytest.raises(PackageInvalid, match="cannot hold"):
        seal(folder)


@pytest.mark.parametrize(
    "name", ["../evil.json", "/etc/evil.json", "a/b.json", "C:evil.json", "..", "manifest.json", "x.pkl"]
)
def test_names_that_lead_elsewhere_are_refused(folder, name):
    files = json.loads((folder / "manifest.json").read_text())["files"]
    rewrite(folder / "manifest.json", files=files | {name: {"sha256": "0" * 64, "bytes": 1}})
    with pytest.raises(PackageInvalid, match="cannot hold"):
        package.verify(folder)


def test_links_and_folders_are_refused(folder, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "secret.json"
    outside.write_bytes((folder / "config.json").read_bytes())
    (folder / "config.json").unlink()
    (folder / "config.json").symlink_to(outside)
    with pytest.raises(PackageInvalid, match="not a regular file"):
        package.verify(folder)


def test_a_required_file_must_be_listed(folder):
    files = json.loads((folder / "manifest.json").read_text())["files"]
    rewrite(folder / "manifest.json", files={name: facts for name, facts in files.items() if name != "config.json"})
    with pytest.raises(PackageInvalid, match=r"config\.json is missing"):
        package.verify(folder)


def test_a_package_without_weights_is_never_sealed(folder):
    (folder / "model.safetensors").unlink()
    with pytest.raises(PackageInvalid, match=r"model\.safetensors is missing"):
        seal(folder)


@pytest.mark.parametrize("kind", ["tsukiji-model/2", "imgpkg/1", None])
def test_another_format_is_refused(folder, kind):
    rewrite(folder / "manifest.json", format=kind)
    with pytest.raises(PackageInvalid, match=r"manifest\.json is invalid"):
        package.verify(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"files": 3}'])
def test_json_that_is_none_is_refused(folder, text):
    for name in ("manifest.json", "config.json", "preprocess.json"):
        (folder / name).write_text(text)
    for read in (package.verify, package.read_config, package.read_preprocess):
        with pytest.raises(PackageInvalid):
            read(folder)


@pytest.mark.parametrize(
    "members",
    [
        {"num_classes": 2},
        {"label_names": ["cat", "cat", "dog"]},
        {"architecture": "resnet34 and more"},
        {"head": "linear_v9"},
        {"label_names": ["cat", "", "dog"]},
    ],
)
def test_a_config_that_contradicts_itself_is_refused(folder, members):
    rewrite(folder / "config.json", **members)
    with pytest.raises(PackageInvalid, match=r"config\.json is invalid"):
        package.read_config(folder)


def test_members_of_a_later_version_are_left_alone(folder):
    rewrite(folder / "config.json", license="apache-2.0")
    rewrite(folder / "calibration.json", energy={"mean": 3})
    assert isinstance(package.read_config(folder), ModelConfig)
    assert package.read_calibration(folder).temperature == 1.5


@pytest.mark.parametrize("temperature", [0, -1, "warm"])
def test_a_temperature_is_positive(folder, temperature):
    rewrite(folder / "calibration.json", temperature=temperature)
    with pytest.raises(PackageInvalid):
        package.read_calibration(folder)


@pytest.mark.parametrize("head", get_args(Head))
@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_table_of_shapes_is_that_of_the_networks(backbone, head):
    """`python -m devtools.vision_shapes` renews it."""
    told = architecture_of(backbone)
    assert {"num_features": told.num_features, "num_middle": told.num_middle, "body": told.body} == measured(backbone)
    with torch.device("meta"):
        weights = build(backbone, 7, head).state_dict()
    assert told.weights(7, head) == {name: list(tensor.shape) for name, tensor in weights.items()}
    types = {torch.float32: "F32", torch.int64: "I64"}
    assert all(dtype_of(name) == types[tensor.dtype] for name, tensor in weights.items())
