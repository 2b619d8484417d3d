"""A safetensors file is read without torch, and one that lies is refused."""

import json

import pytest
import torch
from safetensors.torch import save_file

from tsukiji.errors import PackageInvalid
from tsukiji.packages.tensors import check_finite, check_fit, read_header
from tsukiji.vision.package import ModelConfig

CONFIG = ModelConfig(architecture="resnet18", num_classes=2, num_features=4, label_names=["a", "b"], pretrained=False)
HEAD = {"head.4.weight": torch.ones(6, 8), "head.8.weight": torch.ones(2, 6), "head.6.bias": torch.zeros(6)}


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


def test_a_real_file_is_read_and_fits(write):
    path = write(HEAD | {"bn1.num_batches_tracked": torch.tensor(3)})
    header = read_header(path)
    assert header.tensors["head.8.weight"].shape == [2, 6]
    check_fit(header, CONFIG, path.name)
    check_finite(path, header)


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
    ("tensors", "said"),
    [
        ({"head.8.weight": torch.ones(3, 6)}, "3 outputs"),
        ({"head.4.weight": torch.ones(6, 10)}, "10 features"),
        ({"head.8.weight": torch.ones(2, 6).half()}, "F16"),
    ],
)
def test_weights_of_another_model_do_not_fit(write, tensors, said):
    path = write(HEAD | tensors)
    with pytest.raises(PackageInvalid, match=said):
        check_fit(read_header(path), CONFIG, path.name)


def test_weights_without_a_head_do_not_fit(write):
    with pytest.raises(PackageInvalid, match="no head"):
        check_fit(read_header(write({"conv1.weight": torch.ones(1)})), CONFIG, "w")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_found(write, value):
    path = write(HEAD | {"head.6.bias": torch.tensor([0.0, value])})
    with pytest.raises(PackageInvalid, match=r"head\.6\.bias"):
        check_finite(path, read_header(path))
