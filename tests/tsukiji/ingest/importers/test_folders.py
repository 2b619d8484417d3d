"""What folders say, decided by all of them together."""

import unicodedata

import pytest

from tsukiji.ingest.importers import Table, lay_out
from tsukiji.types import ImportOptions

VEHICLES = {"train": ("train", None), "plane": ("plane", None), "car": ("car", None)}


def told(of, **options):
    """Return what pictures directly in these folders get, and the codes of the warnings."""
    names = [f"{folder}/{number}.jpg" for number, folder in enumerate(of)]
    found = lay_out(names, [], ImportOptions(**options))
    placed = {name.rpartition("/")[0]: found.place(name) for name in names}
    codes = [warning["code"] for warning in found.warnings]
    return {name: (place.label, place.split) for name, place in placed.items()}, codes


@pytest.mark.parametrize(
    ("folder", "label", "split"),
    [
        ("cat", "cat", None),
        ("pets/cat", "cat", None),
        ("train/cat", "cat", "train"),
        ("Valid/cat", "cat", "valid"),
        ("val/cat", "cat", "valid"),
        ("validation/cat", "cat", "valid"),
        ("TEST/cat", "cat", "test"),
        ("training_set/cat", "cat", "train"),
        ("holdout/cat", "cat", "test"),
        ("eval/cat", "cat", "test"),
        ("pets_train/cat", "cat", "train"),
        ("pets/train/cat", "cat", "train"),
        ("a/b/c/train/cat", "cat", "train"),
        ("training_set/training_set/cat", "cat", "train"),
        ("train/mammals/cat", "cat", "train"),
        ("train", None, "train"),
        ("pets/test1", None, "test"),
        ("pets_train", None, "train"),
        ("./cat", "cat", None),
    ],
)
def test_a_folder_is_the_label_unless_it_names_a_split(folder, label, split):
    assert told([folder])[0] == {folder: (label, split)}


def test_a_picture_in_no_folder_has_no_label():
    place = lay_out(["1.jpg", "train/cat/1.jpg"], [], ImportOptions()).place("1.jpg")
    assert (place.label, place.split) == (None, None)


def test_a_decomposed_folder_name_is_the_same_label():
    name = "pâté"
    found = lay_out([f"{unicodedata.normalize('NFD', name)}/1.jpg"], [], ImportOptions())
    for form in ("NFC", "NFD"):
        assert found.place(f"{unicodedata.normalize(form, name)}/1.jpg").label == name


def test_an_unlabelled_test_folder_beside_class_folders_of_a_split():
    found, codes = told(["pets/train/cat", "pets/train/dog", "pets/test"])
    assert found == {
        "pets/train/cat": ("cat", "train"),
        "pets/train/dog": ("dog", "train"),
        "pets/test": (None, "test"),
    }
    assert codes == []


def test_pictures_directly_in_train_are_unlabelled_and_the_way_to_label_them_is_told():
    found, codes = told(["dvc/train", "dvc/test1"])
    assert found == {"dvc/train": (None, "train"), "dvc/test1": (None, "test")}
    assert codes == ["split_without_labels"]


@pytest.mark.parametrize(
    ("folders", "splits"),
    [
        (["seg_train/seg_train/sea", "seg_test/seg_test/sea"], ["train", "test"]),
        (["asl_alphabet_train/asl_alphabet_train/A", "asl_alphabet_test/asl_alphabet_test"], ["train", "test"]),
        (["train/ALB", "test_stg1", "test_stg2"], ["train", "test", "test"]),
        (["Training/Apple", "Validation/Apple", "Evaluation/Apple"], ["train", "valid", "test"]),
        (["images/train2017/cat", "images/val2017/cat"], ["train", "valid"]),
        (["fold1/train/cat", "fold1/test/cat", "fold2/train/cat", "fold2/test/cat"], ["train", "test"] * 2),
    ],
)
def test_what_competitions_ship(folders, splits):
    found, codes = told(folders)
    assert [split for _, split in found.values()] == splits
    assert {label for label, _ in found.values()} <= {"sea", "A", "ALB", "Apple", "cat", None}
    assert codes == []


def test_a_kind_named_like_a_split_is_not_lost_and_asked_about():
    found, codes = told(VEHICLES)
    assert found == VEHICLES
    assert codes == ["split_read_as_label"]
    assert told(["test", "control"]) == ({"test": ("test", None), "control": ("control", None)}, codes)
    assert told(["bullet train", "freight train", "steam train"])[1] == codes


def test_a_kind_named_like_a_split_below_splits_is_one_in_all_of_them():
    folders = [*(f"train/{name}" for name in VEHICLES), "valid/train", "test/train", "test/car"]
    found, codes = told(folders)
    assert found == {folder: (folder.partition("/")[2], folder.partition("/")[0]) for folder in folders}
    assert codes == ["split_read_as_label"]


@pytest.mark.parametrize(
    ("folder", "role", "told_so"),
    [
        ("train", "train", (None, "train")),
        ("train", "test", (None, "test")),
        ("train", "none", (None, None)),
        ("train", "label", ("train", None)),
    ],
)
def test_what_the_sender_says_of_a_folder_goes_before_all_else(folder, role, told_so):
    found, codes = told(VEHICLES, folders={folder: role})
    assert found == VEHICLES | {"train": told_so}
    assert codes == (["split_without_labels"] if role == "train" else [])


def test_the_way_out_that_a_warning_names_leads_out():
    for folders in (VEHICLES, ["train/cat", "test/cat", "more"], ["train", "test"]):
        names = [f"{folder}/1.jpg" for folder in folders]
        for warning in lay_out(names, [], ImportOptions()).warnings:
            words = [part.partition("`")[0] for part in warning["detail"].split("--folder ")[1:]]
            assert words
            for name, role in (word.split("=") for word in words):
                again = lay_out(names, [], ImportOptions(folders={name: role}))
                assert warning not in again.warnings
                place = again.place(next(one for one in names if name in one.split("/")))
                assert place.split == (role if role in {"train", "valid", "test"} else None)


def test_a_folder_beside_splits_is_told_unless_its_kind_is_in_them():
    found, codes = told(["train/cat", "test/cat", "unlabelled"])
    assert found["unlabelled"] == ("unlabelled", None)
    assert codes == ["folder_beside_splits"]
    assert told(["train/cat", "test/cat", "unlabelled"], folders={"unlabelled": "none"}) == (
        found | {"unlabelled": (None, None)},
        [],
    )
    assert told(["cat", "dog", "test/cat", "test/dog"])[1] == []


def test_a_role_may_be_of_one_path_only():
    found, codes = told(
        ["train/train", "train/car", "test/train"], folders={"train/train": "label", "test/train": "label"}
    )
    assert found == {"train/train": ("train", "train"), "train/car": ("car", "train"), "test/train": ("train", "test")}
    assert codes == []


def test_folders_are_no_kinds_where_a_table_tells_these():
    names = ["train/1.jpg", "other/2.jpg"]
    found = lay_out([*names, "t.csv"], [Table("t.csv", b"file,label\ntrain/1.jpg,cat\n")], ImportOptions())
    assert (found.place(names[0]).label, found.place(names[0]).split) == ("cat", "train")
    assert (found.place(names[1]).label, found.warnings) == (None, [])


def test_folders_of_notes_have_no_say():
    names = ["train/cat/1.jpg", "test/cat/1.jpg", "notes/a.txt", "annotations/1.xml"]
    assert lay_out(names, [], ImportOptions()).warnings == []


def test_very_deep_folders_are_read():
    deep = "a/" * 30_000 + "train/cat/1.jpg"
    place = lay_out([deep], [], ImportOptions()).place(deep)
    assert (place.label, place.split) == ("cat", "train")


@pytest.mark.parametrize("container", ["test.zip", "Training_Set.tar.gz", "s3://bucket/pets/val2017", "holdout"])
def test_an_archive_or_folder_named_like_a_split_is_told_where_no_picture_has_one(container):
    def codes(name="cat/1.jpg", **options):
        found = lay_out([name], [], ImportOptions(**options), container=container)
        return [warning["code"] for warning in found.warnings]

    assert codes() == ["split_not_set"]
    assert codes("train/cat/1.jpg") == codes(split="test") == []


def test_other_archives_are_not_told_of():
    for container in ("pets.zip", "my_test.zip", "latest", ""):
        assert lay_out(["cat/1.jpg"], [], ImportOptions(), container=container).warnings == []
