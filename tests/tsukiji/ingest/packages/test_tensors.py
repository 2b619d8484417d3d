"""A safetensors file is read without torch, and one that lies is refused."""

import json

import pytest
import torch
from safetensors.torch import save_file

from tests.tsukiji.vision.packages import write_package
from tsukiji.errors import PackageInvalid
from tsukiji.ingest.packages import tensors
from tsukiji.ingest.packages.tensors import Header, Tensor, check_finite, check_fit, check_known, read_header
from tsukiji.vision import package
from tsukiji.vision.package import ModelConfig
from tsukiji.vision.shapes import architecture_of, dtype_of

CONFIG = ModelConfig(architecture="resnet18", num_classes=2, num_features=512, label_names=["a", "b"], pretrained=False)
FEW = {"head.8.weight": torch.ones(2, 512), "head.6.bias": torch.zeros(512)}


def header_of(changes, config=CONFIG):
    """The header of a network's weights, some of them otherwise: (type, shape), or None for none."""
    right = {name: (dtype_of(name), shape) for name, shape in architecture_of("resnet18").weights(2).items()}
    told = {name: facts for name, facts in (right | changes).items() if facts}
    return Header(
        {name: Tensor(dtype=kind, shape=shape, data_offsets=(0, 0)) for name, (kind, shape) in told.items()}, 0
    )


@pytest.fixture
def write(tmp_path):
    def write(tensors):
        save_file(tensors, tmp_path / "w.safetensors")
        return tmp_path / "w.safetensors"

    return write


@pytest.fixture
def forge(tmp_path):
    """A file with a header of one's own."""

    def forge(header, data=b"\0" * 8, length=None):
        text = header if isinstance(header, bytes) else json.dumps(header).encode()
        path = tmp_path / "w.safetensors"
        path.write_bytes((len(text) if length is None else length).to_bytes(8, "little") + text + data)
        return path

    return forge


def test_a_real_file_is_read_and_fits(tmp_path):
    path = write_package(tmp_path / "model")
    header = read_header(path / package.WEIGHTS)
    assert header.tensors["head.8.weight"].shape == [3, 512]
    check_fit(header, package.read_config(path), "w")
    check_finite(path / package.WEIGHTS, header)


def good(offsets=(0, 8), dtype="F32", shape=(2,)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


@pytest.mark.parametrize(
    "header",
    [
        b"\x80\x04\x95pickle",
        b"[]",
        b'{"a": 1}',
        b'{"a": {}, "a": {}}',
        {"a": good(offsets=(0, 4))},  # shorter than its shape
        {"a": good(offsets=(4, 12))},  # not where the data begin
        {"a": good(), "b": good()},  # over each other
        {"a": good(shape=(1,), offsets=(0, 4))},  # and then bytes that nothing names
        {"a": good(shape=(-2,))},
        {"a": good(dtype="OBJECT")},
        {"a": good() | {"code": "os.system"}},
        {"a": good(shape=(2**40, 2**40))},
    ],
)
def test_a_header_that_lies_is_refused(forge, header):
    with pytest.raises(PackageInvalid):
        read_header(forge(header))


@pytest.mark.parametrize("length", [9, 2**63, 10**9])
def test_a_header_longer_than_the_file_is_refused_unread(forge, length):
    with pytest.raises(PackageInvalid, match="header"):
        read_header(forge({}, b"", length))


@pytest.mark.parametrize("content", [b"", b"\x10\0\0"])
def test_what_is_shorter_than_a_length_is_refused(tmp_path, content):
    (tmp_path / "w.safetensors").write_bytes(content)
    with pytest.raises(PackageInvalid):
        read_header(tmp_path / "w.safetensors")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"head.8.weight": ("F32", [3, 512])}, r"\[3, 512\].*2 labels has \[2, 512\]"),
        ({"head.4.weight": ("F32", [512, 10])}, r"\[512, 10\]"),
        ({"head.8.weight": ("F16", [2, 512])}, "F16"),
        ({"bn1.num_batches_tracked": ("F32", [])}, "F32; it must be I64"),
        ({"conv1.weight": ("F32", [64, 3, 3, 3])}, r"conv1\.weight of shape"),
        ({"conv1.weight": ("F32", [64 * 3 * 7 * 7])}, r"conv1\.weight of shape"),
        ({"layer4.1.conv2.weight": None}, r"lacks layer4\.1\.conv2\.weight"),
        ({"head.9.weight": ("F32", [2, 512])}, r"head\.9\.weight"),
        ({"x" * 10_000: ("F32", [1])}, "x{80}'"),
        (dict.fromkeys(architecture_of("resnet18").weights(2)), "lacks bn1"),
    ],
)
def test_weights_of_another_model_do_not_fit(changes, said):
    check_fit(header_of({}), CONFIG, "w")
    with pytest.raises(PackageInvalid, match=said) as refused:
        check_fit(header_of(changes), CONFIG, "w")
    assert len(refused.value.detail) < 300


def test_a_configuration_of_another_body_does_not_fit():
    with pytest.raises(PackageInvalid, match="512 features"):
        check_fit(header_of({}), CONFIG.model_copy(update={"num_features": 1024}), "w")


MEANS = {"scales": [1, 768], "means": [2, 768], "axes": [4, 768], "held_out": [9]}


@pytest.mark.parametrize(
    "shapes",
    [
        {"bank": [4, 512 + 256]},
        {"bank": [4, 511], "held_out": [9]},
        {"bank": [0, 512 + 256], "held_out": [9]},
        {"bank": [10_001, 512 + 256], "held_out": [9]},
        {"bank": [4, 512 + 256], "held_out": [1002]},
        {"bank": [4, 512 + 256], "held_out": [9], "more": [1]},
        {"bank": [4 * 768], "held_out": [9]},
        MEANS | {"axes": [513, 768]},
        MEANS | {"axes": [0, 768]},
        MEANS | {"axes": [4, 767]},
        MEANS | {"axes": [768]},
        MEANS | {"means": [3, 768]},
        MEANS | {"means": [2, 768, 1]},
        MEANS | {"scales": [2, 768]},
        MEANS | {"scales": [768]},
        MEANS | {"held_out": [1002]},
        MEANS | {"held_out": [9, 1]},
        MEANS | {"more": [1]},
        MEANS | {"bank": [4, 768]},
        {"scales": [1, 768], "means": [2, 768], "held_out": [9]},
        {},
    ],
)
def test_statistics_of_another_network_do_not_fit(shapes):
    def known(shapes):
        return Header(
            {name: Tensor(dtype="F32", shape=shape, data_offsets=(0, 0)) for name, shape in shapes.items()}, 0
        )

    check_known(known({"bank": [4, 512 + 256], "held_out": [9]}), CONFIG, "known")
    check_known(known(MEANS), CONFIG, "known")
    with pytest.raises(PackageInvalid, match="known does not fit resnet18"):
        check_known(known(shapes), CONFIG, "known")


@pytest.mark.parametrize(
    "shape", [[2**48] * 8, [10**15] * 200_000, [10**400], [2**49], [1] * 9, list(range(100_000))], ids=len
)
def test_numbers_are_bounded_before_they_are_counted_with(forge, monkeypatch, shape):
    counted = []
    monkeypatch.setattr(tensors.math, "prod", lambda shape: counted.append(len(shape)) or 1)
    with pytest.raises(PackageInvalid):
        read_header(forge({"a": good(shape=shape)}))
    assert all(length <= 8 for length in counted)


def test_a_header_of_more_than_a_mebibyte_is_not_read(forge):
    with pytest.raises(PackageInvalid, match="at most 1,048,576 are read"):
        read_header(forge({"__metadata__": {"x": "y" * 2**20}}))


def test_a_header_of_too_many_tensors_is_refused(forge):
    with pytest.raises(PackageInvalid, match="4096"):
        read_header(forge({f"t{number}": good(shape=(0,), offsets=(0, 0)) for number in range(5000)}))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_found(write, value):
    path = write(FEW | {"head.6.bias": torch.tensor([0.0, value])})
    with pytest.raises(PackageInvalid, match=r"head\.6\.bias"):
        check_finite(path, read_header(path))
