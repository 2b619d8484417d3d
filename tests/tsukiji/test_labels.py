import unicodedata

import pytest

from tsukiji.labels import MAX_SET_BYTES, SEPARATOR, is_clutter, join_labels, label_and_split, split_labels


@pytest.mark.parametrize(
    ("name", "label", "split"),
    [
        ("1.jpg", None, None),
        ("cat/1.jpg", "cat", None),
        ("pets/cat/1.jpg", "cat", None),
        ("train/cat/1.jpg", "cat", "train"),
        ("Valid/cat/1.jpg", "cat", "valid"),
        ("val/cat/1.jpg", "cat", "valid"),
        ("validation/cat/1.jpg", "cat", "valid"),
        ("TEST/cat/1.jpg", "cat", "test"),
        ("pets/train/cat/1.jpg", "cat", "train"),
        ("pets/val/cat/1.jpg", "cat", "valid"),
        ("train/1.jpg", "train", None),
        ("pets/test/1.jpg", "test", None),
        ("train/test/1.jpg", "test", "train"),
        ("a/b/train/cat/1.jpg", "cat", None),
        ("training/cat/1.jpg", "cat", None),
        ("./cat/1.jpg", "cat", None),
    ],
)
def test_the_parent_folder_is_the_label_and_a_folder_above_may_be_the_split(name, label, split):
    assert label_and_split(name) == (label, split)


def test_a_decomposed_folder_name_is_the_same_label():
    name = "pâté"
    assert label_and_split(f"{unicodedata.normalize('NFD', name)}/1.jpg") == (unicodedata.normalize("NFC", name), None)


@pytest.mark.parametrize(
    "name", ["__MACOSX/cat/._1.jpg", ".DS_Store", "cat/.hidden.jpg", ".git/x.jpg", "cat/Thumbs.db", "Desktop.ini"]
)
def test_what_systems_leave_behind(name):
    assert is_clutter(name)


@pytest.mark.parametrize("name", ["cat/1.jpg", "a.b/c.d.jpg", "thumbs.db.jpg"])
def test_what_people_mean(name):
    assert not is_clutter(name)


@pytest.mark.parametrize("labels", [[], ["bee"], ["bee", "ant"], ["ant", "bee", "ant"], ["ant bee", "bee"]])
def test_a_set_of_labels_comes_back_from_its_text(labels):
    assert split_labels(join_labels(labels)) == sorted(set(labels))


def test_equal_sets_are_equal_texts_and_show_each_label_between_separators():
    text = join_labels(["bee", "ant"])
    assert text == join_labels(["ant", "bee", "bee"])
    assert f"{SEPARATOR}ant{SEPARATOR}" in text
    assert f"{SEPARATOR}an{SEPARATOR}" not in text


def test_a_single_label_is_a_set_of_one():
    assert split_labels("bee") == ["bee"]


def test_the_empty_set_is_no_unknown_label():
    assert join_labels([]) == SEPARATOR


def test_labels_that_are_too_long_together_are_refused():
    with pytest.raises(ValueError, match=str(MAX_SET_BYTES)):
        join_labels(["寿" * 100 + str(number) for number in range(5)])
