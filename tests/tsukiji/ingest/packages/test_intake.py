"""A zip from a stranger becomes a checked package, or a problem that says why not."""

import json
import pickle
import zipfile

import pytest

from tests.tsukiji.vision.packages import LABELS, seal
from tsukiji.errors import PackageInvalid
from tsukiji.ingest.packages.intake import check, leave_out_int8, limits_of, unpack
from tsukiji.vision import package

LIMITS = limits_of(64 * 2**20)


def rewrite(path, **members):
    path.write_text(json.dumps(json.loads(path.read_text()) | members))


@pytest.fixture
def zipped(tmp_path):
    def write(folder, prefix="", **more):
        path = tmp_path / "package.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for file in sorted(folder.iterdir()):
                archive.write(file, prefix + file.name)
            for name, data in more.items():
                archive.writestr(name, data)
        return path

    return write


@pytest.fixture
def target(tmp_path):
    (tmp_path / "unpacked").mkdir()
    return tmp_path / "unpacked"


@pytest.mark.parametrize("prefix", ["", "my model/"])
def test_a_zip_of_a_package_is_the_package(folder, zipped, target, prefix):
    unpack(zipped(folder, prefix, **{"__MACOSX/._config.json": b"x"}), target, LIMITS)
    checked = check(target, package.verify(target))
    assert checked.config.label_names == LABELS
    assert checked.manifest.model_id == "mdl_1"
    assert [example.file for example in checked.examples] == ["example-1.png"]
    assert checked.evaluated is None


@pytest.mark.parametrize(
    "name", ["../evil.json", "/evil.json", "a/b/evil.json", "export.pkl", "model.bin", "run.py", "a\\b\\evil.json"]
)
def test_a_file_that_has_no_business_there_is_refused_and_not_written(folder, zipped, target, tmp_path, name):
    with pytest.raises(PackageInvalid):
        unpack(zipped(folder, **{name: b"evil"}), target, LIMITS)
    assert not [path for path in tmp_path.rglob("*") if path.name.endswith(("evil.json", ".pkl", "run.py"))]


def test_what_is_no_zip_is_refused(tmp_path, target):
    (tmp_path / "x.zip").write_bytes(pickle.dumps({"weights": [1]}))
    with pytest.raises(PackageInvalid, match="archive"):
        unpack(tmp_path / "x.zip", target, LIMITS)


def test_a_zip_that_unpacks_to_too_much_is_refused(folder, zipped, target):
    with pytest.raises(PackageInvalid, match="at most"):
        unpack(zipped(folder), target, limits_of(2**20))


def test_a_bomb_is_refused(tmp_path, target):
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.safetensors", b"\0" * (64 * 2**20))
    with pytest.raises(PackageInvalid):
        unpack(tmp_path / "bomb.zip", target, LIMITS)
    assert not list(target.iterdir())


def spoil_hash(folder):
    (folder / "README.md").write_text("# Another model\n")


def lose_weights(folder):
    (folder / package.WEIGHTS).unlink()


def add_labels(folder):
    rewrite(folder / package.CONFIG, num_classes=4, label_names=[*LABELS, "eel"])
    seal(folder)


def repeat_labels(folder):
    rewrite(folder / package.CONFIG, label_names=["cat", "cat", "cat"])
    seal(folder)


def swap_weights(folder):
    (folder / package.WEIGHTS).write_bytes(pickle.dumps({"weights": [1]}))
    seal(folder)


def speak_of_other_labels(folder):
    metrics = {"accuracy": 1, "loss": 0, "images": 1, "label_names": ["eel"], "per_class": [], "confusion": [[1]]}
    (folder / package.EVALUATION).write_text(json.dumps({"metrics": metrics}))
    seal(folder)


def say_nan(folder):
    metrics = {"accuracy": float("nan"), "loss": 0, "images": 1, "label_names": LABELS, "per_class": []}
    (folder / package.EVALUATION).write_text(json.dumps({"metrics": metrics | {"confusion": []}}))
    seal(folder)


def be_foreign(folder):
    rewrite(folder / package.MANIFEST, format="tsukiji-model/2")


def lose_known(folder):
    rewrite(folder / package.CALIBRATION, known={"min_known": 0.05})
    seal(folder)


def cut_examples(folder):
    listed = json.loads((folder / package.EXAMPLES).read_text())
    listed["examples"][0]["probabilities"] = [1.0]
    (folder / package.EXAMPLES).write_text(json.dumps(listed))
    seal(folder)


def miscount_thresholds(folder):
    rewrite(folder / package.CONFIG, kind="multi_label")
    rewrite(folder / package.CALIBRATION, thresholds=[0.5])
    seal(folder)


def speak_of_single_labels(folder):
    rewrite(folder / package.CONFIG, kind="multi_label")
    metrics = {"accuracy": 1, "loss": 0, "images": 1, "label_names": LABELS, "per_class": [], "confusion": []}
    (folder / package.EVALUATION).write_text(json.dumps({"metrics": metrics}))
    seal(folder)


@pytest.mark.parametrize(
    "spoil",
    [
        miscount_thresholds,
        speak_of_single_labels,
        spoil_hash,
        lose_weights,
        add_labels,
        repeat_labels,
        swap_weights,
        speak_of_other_labels,
        say_nan,
        be_foreign,
        lose_known,
        cut_examples,
    ],
)
def test_a_package_whose_parts_do_not_go_together_is_refused(folder, spoil):
    spoil(folder)
    with pytest.raises(PackageInvalid):
        check(folder, package.verify(folder))


def test_an_evaluation_comes_along(folder):
    metrics = {"accuracy": 0.5, "loss": 1, "images": 2, "label_names": LABELS, "per_class": [], "confusion": []}
    told = {"metrics": metrics, "split": "test", "recipe": {"epochs": 3}, "seed": 1}
    (folder / package.EVALUATION).write_text(json.dumps(told))
    seal(folder)
    evaluated = check(folder, package.verify(folder)).evaluated
    assert (evaluated.metrics.accuracy, evaluated.split, evaluated.recipe) == (0.5, "test", {"epochs": 3})


def test_a_body_in_int8_of_strangers_is_not_taken_in(folder):
    """It is for a parser that trusts its files; in float32 the network is complete."""
    (folder / package.INT8).write_bytes(b"\0" * 8)
    seal(folder)
    manifest = leave_out_int8(folder, package.verify(folder))
    assert package.INT8 not in manifest.files
    assert package.verify(folder) == manifest
    assert leave_out_int8(folder, manifest) == manifest
