"""`export.pkl` opens in a fastai that has never heard of us, and answers as our own predictor does."""

import json
import re
import subprocess
import sys
from pathlib import Path
from pickletools import genops
from typing import Any, get_args
from zipfile import ZipFile

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.tsukiji.vision.packages import LABELS, write_package
from training.pickles import export_learner
from tsukiji.vision.decoding.decode import decode
from tsukiji.vision.predictor import Predictor
from tsukiji.vision.shapes import Head

OPEN = """
import json, pathlib, sys, warnings
warnings.simplefilter("ignore")
from fastai.vision.all import load_learner

class Refusing(pathlib.PurePosixPath):  # as on Windows
    def __new__(cls, *parts):
        raise NotImplementedError("cannot instantiate 'PosixPath' on your system")

ours, pathlib.PosixPath = pathlib.PosixPath, Refusing
learner = load_learner(sys.argv[1])
pathlib.PosixPath = ours
assert learner.path == learner.dls.path == pathlib.Path.cwd(), (learner.path, learner.dls.path)
answers = [learner.predict(path) for path in sys.argv[2:]]
ours = [name for name in sys.modules if name.partition(".")[0] in {"tsukiji", "training"}]
read = lambda label: list(label) if isinstance(label, list) or hasattr(label, "items") else str(label)
print(json.dumps({"answers": [(read(label), row.tolist()) for label, _, row in answers], "ours": ours}))
"""


def test_the_file_holds_neither_code_nor_a_path_of_this_machine(tmp_path: Path) -> None:
    export_learner(write_package(tmp_path / "model"), tmp_path / "export.pkl", [Image.new("RGB", (64, 64))])
    with ZipFile(tmp_path / "export.pkl") as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
        read = [(step.name, value) for step, value, _ in genops(archive.read(name))]
    named = {value for step, value in read if step == "GLOBAL"}
    assert "fastai.learner Learner" in named
    assert not [value for value in named if re.search(r"CodeType|cloudpickle|_make_function", value)]
    ours = (str(Path(__file__).parents[2]), str(tmp_path), sys.prefix, str(Path.home()) + "/")
    assert not [text for _, text in read if isinstance(text, str) and any(path in text for path in ours)]


@pytest.mark.slow
@pytest.mark.parametrize("head", get_args(Head))
def test_a_stranger_with_fastai_gets_our_answers(tmp_path: Path, head: Head) -> None:
    told, expected = ask_a_stranger(write_package(tmp_path / "model", temperature=1.8, head=head), tmp_path)
    for (label, row), ours in zip(told, expected, strict=True):
        assert label == LABELS[int(ours.argmax())]
        assert row == pytest.approx(ours.tolist(), abs=1e-4)


@pytest.mark.slow
def test_a_stranger_with_fastai_gets_sets_by_our_thresholds(tmp_path: Path) -> None:
    thresholds = [0.01, 0.99, 0.5]
    folder = write_package(tmp_path / "model", temperature=1.8, thresholds=thresholds)
    told, expected = ask_a_stranger(folder, tmp_path)
    for (labels, row), ours in zip(told, expected, strict=True):
        assert row == pytest.approx(ours.tolist(), abs=1e-4)
        assert labels == [name for name, share, least in zip(LABELS, ours, thresholds, strict=True) if share > least]


def ask_a_stranger(folder: Path, tmp_path: Path) -> tuple[list[Any], NDArray[np.float32]]:
    """Return what fastai alone says of three pictures, and what our predictor does."""
    random, paths = np.random.default_rng(0), []
    for number, size in enumerate([(70, 90, 3), (120, 64, 3), (64, 64, 3)]):
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(random.integers(0, 256, size, np.uint8)).save(paths[-1])
    images = [decode(path.read_bytes()) for path in paths]
    facts = export_learner(folder, tmp_path / "export.pkl", images)
    assert facts["top1_agreement"] == 1
    assert facts["max_difference"] < 1e-4

    command = [sys.executable, "-c", OPEN, str(tmp_path / "export.pkl"), *map(str, paths)]
    told = json.loads(subprocess.run(command, cwd="/", capture_output=True, check=True).stdout.splitlines()[-1])
    assert told["ours"] == [], "it needs no class of ours"
    return told["answers"], Predictor.load(folder, "cpu").predict(images)
