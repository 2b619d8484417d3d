"""The converter chooses what to compare on, and says in an event what went wrong."""

import json
import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from tests.tsukiji.vision.packages import seal, write_package
from training import convert
from training.control import Cancelled, Control
from training.conversion import Conversion, read_facts, write_request
from training.events import Events
from tsukiji.errors import PackageInvalid
from tsukiji.vision import package
from tsukiji.vision.package import Example, Examples


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_package(tmp_path / "package", size=32)


def test_held_out_pictures_come_first_and_damaged_ones_are_left_out(folder: Path, tmp_path: Path) -> None:
    Image.new("RGB", (40, 50)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no picture")
    asked = Conversion(format="onnx", package=folder, images=[tmp_path / "a.png", tmp_path / "b.png"])
    images, compared_on = convert.choose_images(asked)
    assert ([image.size for image in images], compared_on) == ([(40, 50)], "held_out")


def test_without_held_out_pictures_the_examples_serve_and_else_noise(folder: Path) -> None:
    asked = Conversion(format="onnx", package=folder)
    assert convert.choose_images(asked)[1] == "noise"
    Image.new("RGB", (32, 32)).save(folder / "example-1.png")
    example = Example(file="example-1.png", true_label="cat", label="cat", probabilities=[1, 0, 0])
    package.write_part(folder, package.EXAMPLES, Examples(examples=[example]))
    seal(folder)
    images, compared_on = convert.choose_images(asked)
    assert (len(images), compared_on) == (1, "examples")


@pytest.fixture
def events(tmp_path: Path) -> Events:
    return Events(os.open(tmp_path / "events", os.O_CREAT | os.O_WRONLY))


def test_the_facts_say_what_was_compared_on(
    folder: Path, tmp_path: Path, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(convert, "writer_of", lambda _: lambda _folder, _target, images: {"images": len(images)})
    write_request(tmp_path, Conversion(format="onnx", package=folder))
    convert.convert(tmp_path, events, Control())
    assert read_facts(tmp_path) == {"images": convert.NOISE_IMAGES, "compared_on": "noise"}
    names = [json.loads(line).get("name") for line in (tmp_path / "events").read_text().splitlines()]
    assert names == ["loading", "exporting"]


def test_an_order_to_cancel_is_obeyed(folder: Path, tmp_path: Path, events: Events) -> None:
    control = Control()
    control.obey("cancel")
    write_request(tmp_path, Conversion(format="onnx", package=folder))
    with pytest.raises(Cancelled):
        convert.convert(tmp_path, events, control)


def test_a_damaged_package_is_not_converted(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "config.json", folder / "preprocess.json")
    with pytest.raises(PackageInvalid):
        convert.choose_images(Conversion(format="onnx", package=folder))
