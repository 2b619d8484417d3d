"""What a table calls a file, and the file that is there: exactly, else by what names often differ in."""

import pytest

from tsukiji.ingest.importers import Table, lay_out
from tsukiji.types import ImportOptions


def layout(lines, files, name="labels.csv"):
    data = "\n".join(["file,label", *lines, ""]).encode()
    return lay_out([*files, name], [Table(name, data)], ImportOptions())


def labels(found, files):
    return {name: found.place(name).label for name in files if found.place(name).label is not None}


@pytest.mark.parametrize(
    ("written", "there", "difference"),
    [
        ("cat_0.jpg", "images/cat_0.JPG", "upper and lower case"),
        ("bee_0.jpeg", "images/Bee_0.jpeg", "upper and lower case"),
        ("IMAGES/bee.jpg", "images/bee.jpg", "upper and lower case"),
        ("straße.jpg", "STRASSE.JPG", "upper and lower case"),
        ("ant_0.png", "images/ant_0.jpg", "the suffix"),
        ("ant_0.png", "images/Ant_0.jpg", "the suffix"),
        ("ant_0.heic", "ant_0", "the suffix"),
        ("v1.2", "v1.3", "absent"),
        ("my%20photos/cat%20no.0%20%28copy%29.jpg", "my photos/cat no.0 (copy).jpg", "percent-encoding"),
        ("cat no.0.jpg", "cat%20no.0.jpg", "percent-encoding"),
        ("p%C3%A2t%C3%A9.jpg", "pâté.jpg", "percent-encoding"),
        ("100%.jpg", "100%.jpg", None),
        ("/data/upload/3/0a1b2c3d-my%20photo.jpg", "images/0a1b2c3d-my photo.jpg", "percent-encoding"),
        ("/data/upload/3/0a1b2c3d-my_photo.jpg", "mine/my_photo.jpg", "Label Studio"),
        ("/data/local-files/?d=my%20set/cat%201.jpg", "my set/cat 1.jpg", None),
        ("http://localhost:8080/data/local-files/?d=set/cat.jpg", "set/cat.jpg", None),
        ("https://labels.example/data/upload/3/0a1b2c3d-cat.jpg", "0a1b2c3d-cat.jpg", None),
    ],
)
def test_a_file_that_alone_can_be_meant_is_found_and_it_is_said_how(written, there, difference):
    found = layout([f"{written},cat"], [there])
    if difference == "absent":
        assert [error.code for _, error in found.faults] == ["file_not_sent"]
        return
    assert labels(found, [there]) == {there: "cat"}
    told = [warning["detail"] for warning in found.warnings]
    assert len(told) == bool(difference)
    assert all(difference in detail and there in detail for detail in told)


@pytest.mark.parametrize(
    ("written", "files"),
    [
        ("cat.jpg", ["a/CAT.jpg", "b/Cat.jpg"]),
        ("cat.png", ["cat.jpg", "cat.webp"]),
        ("x/cat.png", ["a/cat.jpg", "b/cat.jpg"]),
    ],
)
def test_where_two_may_be_meant_none_is(written, files):
    found = layout([f"{written},cat"], files)
    assert (labels(found, files), [error.code for _, error in found.faults]) == ({}, ["file_not_sent"])


def test_folders_decide_between_files_of_one_name():
    files = ["Train/cat.JPG", "test/cat.JPG"]
    assert labels(layout(["train/cat.jpg,cat"], files), files) == {"Train/cat.JPG": "cat"}


@pytest.mark.parametrize("lines", [["a/1.jpg,cat"], ["a/1.jpg,cat", "b/1.jpg,dog"]])
def test_a_path_in_another_case_goes_before_that_very_name_elsewhere(lines):
    files = ["a/1.JPG", "b/1.jpg"]
    expected = {"a/1.JPG": "cat", "b/1.jpg": "dog"} if len(lines) == 2 else {"a/1.JPG": "cat"}
    found = layout(lines, files)
    assert (labels(found, files), found.faults) == (expected, [])


def test_a_name_in_another_case_beside_the_table_goes_before_one_elsewhere():
    files = ["train/cat.JPG", "test/cat.jpg"]
    found = layout(["cat.jpg,cat"], files, "train/labels.csv")
    assert labels(found, files) == {"train/cat.JPG": "cat"}


def test_a_file_that_is_named_as_it_is_is_not_meant_by_another_line():
    files = ["1.jpg", "2.jpg", "2.webp"]
    found = layout(["1.png,dog", "1.jpg,cat", "2.jpg,bee", "2.png,ant"], files)
    assert labels(found, files) == {"1.jpg": "cat", "2.jpg": "bee", "2.webp": "ant"}
    assert [(name, error.code) for name, error in found.faults] == [("1.png", "file_not_sent")]


def test_lines_that_say_the_same_of_a_file_are_one():
    found = layout(["1.jpg,cat", "1.jpg,cat", "images/1.jpg,cat", "2.jpg,cat", "2.jpg,dog"], ["images/1.jpg", "2.jpg"])
    assert labels(found, ["images/1.jpg", "2.jpg"]) == {"images/1.jpg": "cat", "2.jpg": "cat"}
    assert [name for name, _ in found.faults] == ["labels.csv, line 6"]
