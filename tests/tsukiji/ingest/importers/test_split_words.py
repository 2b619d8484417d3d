import pytest

from tsukiji.ingest.importers.items import split_of
from tsukiji.ingest.importers.split_words import plain_split, split_name


@pytest.mark.parametrize(
    ("split", "names"),
    [
        (
            "train",
            "train Training TRAIN trn training_set train-data TrainSet trainset train1 train2017 2_train trainval",
        ),
        ("train", "train_images stage1_train instances_train2017 train_labels trainImages"),
        ("valid", "valid val Validation validation_set val2017 dev dev-set valset crossvalidation cross-validation"),
        ("test", "test TESTING test1 test_stg2 test-set eval Evaluation holdout hold-out held_out_set test-dev tst"),
    ],
)
def test_what_people_call_a_split(split, names):
    assert {name: plain_split(name) for name in names.split()} == dict.fromkeys(names.split(), split)
    assert {split_of(name) for name in names.split()} == {split}, "a table's cell means the same as a folder"


@pytest.mark.parametrize(
    "name", ["contest", "latest", "protest", "trainer", "invalid", "data", "cat", "1", "train_test"]
)
def test_other_words_are_no_splits(name):
    assert split_name(name) is None


@pytest.mark.parametrize(
    ("name", "split", "rest"), [("seg_train", "train", ("seg",)), ("test tube", "test", ("tube",))]
)
def test_a_name_may_say_more_than_a_split(name, split, rest):
    found = split_name(name)
    assert (found.split, found.rest) == (split, rest)
    assert plain_split(name) is None
