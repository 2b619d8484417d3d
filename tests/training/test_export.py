"""Example images in a package: the self-test that it carries along."""

import json
from pathlib import Path

import pytest
import torch

from tests.training.conftest import MakeRun
from training import export
from training.run import Run, load
from training.training_state import Fitted
from tsukiji.errors import PackageInvalid
from tsukiji.vision import package
from tsukiji.vision.decoding.decode import decode
from tsukiji.vision.model import build
from tsukiji.vision.preprocess import Preprocess
from tsukiji.vision.selftest import try_out


@pytest.fixture
def run(make_run: MakeRun) -> Run:
    return load(make_run())


@pytest.fixture
def folder(run: Run, tmp_path: Path) -> Path:
    """The package of an untrained network, with examples."""
    preprocess = Preprocess(size=run.recipe.image_size)
    torch.manual_seed(0)
    model = build(run.recipe.backbone, len(run.label_names))
    fitted = Fitted(model.state_dict(), [], 0, "random", 1e-3)
    export.write_package(tmp_path / "package", run, fitted, preprocess)
    export.add_examples(tmp_path / "package", run)
    return tmp_path / "package"


def test_every_label_has_an_example_as_the_network_sees_it(folder: Path, run: Run) -> None:
    package.verify(folder)
    examples = package.read_examples(folder)
    assert [example.true_label for example in examples[:3]] == run.label_names
    assert len(examples) == export.EXAMPLE_IMAGES
    for example in examples:
        assert decode((folder / example.file).read_bytes()).size == (32, 32)
        assert example.label == run.label_names[example.probabilities.index(max(example.probabilities))]


def test_the_self_test_passes_where_the_package_is_whole(folder: Path) -> None:
    assert "5 example images" in try_out(folder, package.read_examples(folder))


def test_the_self_test_fails_where_the_answers_are_others(folder: Path) -> None:
    examples = package.read_examples(folder)
    lying = examples[0].model_copy(update={"probabilities": [1.0, 0.0, 0.0]})
    with pytest.raises(PackageInvalid, match=r"example-1\.png"):
        try_out(folder, [lying, *examples[1:]])


def test_an_example_that_is_not_there_is_missed(folder: Path) -> None:
    listed = json.loads((folder / package.EXAMPLES).read_text())
    listed["examples"][0]["file"] = "example-9.png"
    (folder / package.EXAMPLES).write_text(json.dumps(listed))
    with pytest.raises(PackageInvalid, match=r"example-9\.png"):
        package.read_examples(folder)
