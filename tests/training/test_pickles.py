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
files, pictures = json.loads(sys.argv[1])
learners = {name: load_learner(path) for name, path in files.items()}
pathlib.PosixPath = ours
for learner in learners.values():
    assert learner.path == learner.dls.path == pathlib.Path.cwd(), (learner.path, learner.dls.path)
read = lambda label: list(label) if isinstance(label, list) or hasattr(label, "items") else str(label)
answer = lambda label, _, row: (read(label), row.tolist())
answers = {name: [answer(*learner.predict(path)) for path in pictures] for name, learner in learners.items()}
ours = [name for name in sys.modules if name.partition(".")[0] in {"tsukiji", "training"}]
print(json.dumps({"answers": answers, "ours": ours}))
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


THRESHOLDS = [0.01, 0.99, 0.5]
Answers = tuple[list[Any], NDArray[np.float32]]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Answers]:
    """What fastai alone, in one new process, and our predictor say of three pictures: each head, and several labels."""
    folder, random = tmp_path_factory.mktemp("exports"), np.random.default_rng(0)
    paths = [folder / f"{number}.png" for number in range(3)]
    for path, size in zip(paths, [(70, 90, 3), (120, 64, 3), (64, 64, 3)], strict=True):
        Image.fromarray(random.integers(0, 256, size, np.uint8)).save(path)
    images = [decode(path.read_bytes()) for path in paths]
    packages = {head: write_package(folder / head, temperature=1.8, head=head) for head in get_args(Head)}
    packages["sets"] = write_package(folder / "sets", temperature=1.8, thresholds=THRESHOLDS)
    files = {name: str(folder / f"{name}.pkl") for name in packages}
    for name, model in packages.items():
        facts = export_learner(model, Path(files[name]), images)
        assert facts["top1_agreement"] == 1
        assert facts["max_difference"] < 1e-4
    command = [sys.executable, "-c", OPEN, json.dumps([files, [str(path) for path in paths]])]
    told = json.loads(subprocess.run(command, cwd="/", capture_output=True, check=True).stdout.splitlines()[-1])
    assert told["ours"] == [], "it needs no class of ours"
    ours = {name: Predictor.load(model, "cpu").predict(images) for name, model in packages.items()}
    return {name: (told["answers"][name], ours[name]) for name in packages}


@pytest.mark.slow
@pytest.mark.parametrize("head", get_args(Head))
def test_a_stranger_with_fastai_gets_our_answers(answers: dict[str, Answers], head: Head) -> None:
    for (label, row), ours in zip(*answers[head], strict=True):
        assert label == LABELS[int(ours.argmax())]
        assert row == pytest.approx(ours.tolist(), abs=1e-4)


@pytest.mark.slow
def test_a_stranger_with_fastai_gets_sets_by_our_thresholds(answers: dict[str, Answers]) -> None:
    for (labels, row), ours in zip(*answers["sets"], strict=True):
        assert row == pytest.approx(ours.tolist(), abs=1e-4)
        assert labels == [name for name, share, least in zip(LABELS, ours, THRESHOLDS, strict=True) if share > least]
