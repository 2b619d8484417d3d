"""A package is asked about its own example images, and has to answer as it did where it was made."""

import io
import json

import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

from tests.tsukiji.vision.packages import LABELS, seal, trained_looking, write_package
from tests.tsukiji.vision.pictures import noise
from tsukiji.errors import PackageInvalid
from tsukiji.vision import package
from tsukiji.vision.decoding.decode import decode
from tsukiji.vision.package import Example, Examples
from tsukiji.vision.predictor import Predictor
from tsukiji.vision.selftest import TOLERANCE, try_out


@pytest.fixture
def folder(tmp_path):
    folder = write_package(tmp_path / "model", temperature=1.5)
    predictor = Predictor.load(folder, "cpu")
    examples = []
    for number in (1, 2):
        buffer = io.BytesIO()
        predictor.preprocess.fit(noise(70, 60, number)).save(buffer, "PNG")
        (row,) = predictor.predict([decode(buffer.getvalue())])
        (folder / f"example-{number}.png").write_bytes(buffer.getvalue())
        label = LABELS[int(row.argmax())]
        examples.append(
            Example(file=f"example-{number}.png", true_label="cat", label=label, probabilities=row.tolist())
        )
    package.write_part(folder, package.EXAMPLES, Examples(examples=examples))
    seal(folder)
    return folder


def try_all(folder):
    return try_out(folder, package.read_examples(folder))


def test_a_whole_package_answers_as_recorded(folder):
    assert try_all(folder).startswith("2 example images answered as recorded")


def rewrite(folder, change):
    listed = json.loads((folder / package.EXAMPLES).read_text())
    change(listed["examples"])
    (folder / package.EXAMPLES).write_text(json.dumps(listed))
    seal(folder)


def test_an_answer_that_is_no_number_does_not_pass(folder):
    """A running variance below zero is a number, and its root is none."""
    tensors = load_file(folder / package.WEIGHTS)
    tensors["bn1.running_var"][:] = -1
    save_file(tensors, folder / package.WEIGHTS)
    seal(folder)
    with pytest.raises(PackageInvalid, match="differently"):
        try_all(folder)


@pytest.mark.parametrize(("shift", "passes"), [(TOLERANCE / 2, True), (3 * TOLERANCE, False)])
def test_rounding_passes_and_another_answer_does_not(folder, shift, passes):
    def change(examples):
        examples[1]["probabilities"][0] = abs(examples[1]["probabilities"][0] - shift)

    rewrite(folder, change)
    if passes:
        try_all(folder)
        return
    with pytest.raises(PackageInvalid, match=r"example-2\.png"):
        try_all(folder)


def test_other_weights_are_found_though_their_hash_is_right(folder):
    examples = {path.name: path.read_bytes() for path in folder.glob("example*")}
    other = write_package(folder.parent / "other", trained_looking(seed=1), temperature=1.5)
    for name, data in examples.items():
        (other / name).write_bytes(data)
    seal(other)
    with pytest.raises(PackageInvalid, match="answers differently"):
        try_all(other)


def test_an_example_that_is_no_picture_is_named(folder):
    (folder / "example-1.png").write_bytes(b"no picture")
    seal(folder)
    with pytest.raises(PackageInvalid, match="example image cannot be opened"):
        try_all(folder)


def test_another_size_than_the_networks_is_fitted_like_any_picture(folder):
    Image.new("RGB", (64, 64), (10, 200, 30)).resize((128, 128)).save(folder / "example-1.png")
    seal(folder)
    with pytest.raises(PackageInvalid, match=r"example-1\.png"):
        try_all(folder)
