"""Several labels of one picture: by folder, by a list in a cell, by columns of 0 and 1, and by other tools' exports."""

import json

import pytest

from tsukiji.ingest.importers import Table, lay_out
from tsukiji.labels import join_labels, split_labels
from tsukiji.types import ImportOptions

FILES = ("images/1.jpg", "images/2.jpg", "images/3.jpg", "images/4.jpg")


def layout(data, name="labels.csv", kind="multi_label", files=FILES, **options):
    return lay_out([*files, name], [Table(name, data.encode())], ImportOptions(**options), kind=kind)


def labels(found, files=FILES):
    texts = [found.place(name).label for name in files]
    return [None if text is None else split_labels(text) for text in texts]


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("ant+bee", ["ant", "bee"]),
        ("bee + ant", ["ant", "bee"]),
        ("ant", ["ant"]),
        ("+", []),
        ("none", ["none"]),
        ("a%2Bb+c", ["a+b", "c"]),
        ("red_ant-2", ["red_ant-2"]),
    ],
)
def test_a_folder_lists_labels(folder, expected):
    found = lay_out([f"train/{folder}/1.jpg"], [], ImportOptions(), kind="multi_label").place(f"train/{folder}/1.jpg")
    assert (split_labels(found.label), found.split) == (expected, "train")


def test_in_a_data_set_of_one_label_a_folder_is_one_label():
    assert lay_out(["ant+bee/1.jpg"], [], ImportOptions()).place("ant+bee/1.jpg").label == "ant+bee"


def test_a_picture_without_a_folder_is_unlabelled_and_a_wish_is_one_label():
    assert lay_out(["1.jpg"], [], ImportOptions(), kind="multi_label").place("1.jpg").label is None
    wished = lay_out(["1.jpg"], [], ImportOptions(label="a+b"), kind="multi_label").place("1.jpg")
    assert wished.label == join_labels(["a+b"])


@pytest.mark.parametrize("cells", [("ant|bee", "ant"), ("ant; bee", " ant "), ('"[""bee"", ""ant""]"', '"[""ant""]"')])
def test_a_cell_lists_labels(cells):
    mark = "\t" if ";" in cells[0] else ","
    rows = [f"file{mark}labels", f"1.jpg{mark}{cells[0]}", f"2.jpg{mark}{cells[1]}", f"3.jpg{mark}", f"4.jpg{mark}[]"]
    assert labels(layout("\n".join(rows), "labels.tsv")) == [["ant", "bee"], ["ant"], None, []]


def test_a_separator_can_be_named():
    found = layout("image_name,tags\n1,haze primary\n2,clear\n", separator=" ")
    assert labels(found)[:2] == [["haze", "primary"], ["clear"]]


def test_columns_of_0_and_1_are_labels_and_others_are_told():
    rows = ["file,split,ant,bee,width", "1.jpg,train,1,0,640", "2.jpg,,1,1.0,480", "3.jpg,,0,0,10", "4.jpg,,,,20"]
    found = layout("\n".join(rows))
    assert labels(found) == [["ant"], ["ant", "bee"], [], None]
    assert found.place(FILES[0]).split == "train"
    (warning,) = found.warnings
    assert "'width'" in warning["detail"]
    assert "'ant'" not in warning["detail"]


def test_columns_of_0_and_1_can_be_named_and_hold_nothing_else():
    found = layout("file,ant,bee,blurry\n1.jpg,1,1,1\n2.jpg,-1,0,0\n", columns={"label": ["ant", "bee"]})
    assert labels(found)[0] == ["ant", "bee"]
    ((_, error),) = found.faults
    assert (error.code, error.extra["line"]) == ("table_line_invalid", 3)
    assert "'ant'" in error.detail


def test_columns_that_are_not_there_or_cannot_be_several():
    ((_, error),) = layout("file,ant\n1.jpg,1\n", columns={"label": ["ant", "moth"]}).faults
    assert "'moth'" in error.detail
    with pytest.raises(ValueError, match="label"):
        ImportOptions(columns={"file": ["a", "b"]})


def test_json_lines_hold_lists():
    rows = [{"file": "1.jpg", "labels": ["bee", "ant"]}, {"file": "2.jpg", "label": "ant"}]
    rows += [{"file": "3.jpg", "labels": []}, {"file": "4.jpg", "labels": None}]
    found = layout("\n".join(map(json.dumps, rows)), "labels.jsonl")
    assert labels(found) == [["ant", "bee"], ["ant"], [], None]


def test_a_label_that_nobody_could_read_costs_its_picture_alone():
    rows = [{"file": "1.jpg", "labels": ["a\x1fb", "c"]}, {"file": "2.jpg", "labels": ["ant"]}]
    found = layout("\n".join(map(json.dumps, rows)), "labels.jsonl")
    assert found.place(FILES[0]).error.code == "label_refused"
    assert found.place(FILES[1]).label == join_labels(["ant"])


COCO = {
    "images": [{"id": 1, "file_name": "1.jpg"}, {"id": 2, "file_name": "2.jpg"}],
    "categories": [{"id": 1, "name": "ant"}, {"id": 2, "name": "bee"}],
    "annotations": [{"image_id": 1, "category_id": 1}, {"image_id": 1, "category_id": 2}],
}
AZURE = [
    {"id": "1", "originalImageUri": "x", "tags": [{"tagName": "ant"}, {"tagName": "bee"}]},
    {"id": "2", "originalImageUri": "x", "tags": []},
]
VERTEX = (
    '{"imageGcsUri": "gs://b/1.jpg", "classificationAnnotations": [{"displayName": "ant"}, {"displayName": "bee"}]}'
)
SAGEMAKER = '{"source-ref": "s3://b/1.jpg", "l": [0, 1], "l-metadata": {"class-map": {"0": "ant", "1": "bee"}}}'


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("coco.json", json.dumps(COCO)),
        ("azure.json", json.dumps(AZURE)),
        ("vertex.jsonl", VERTEX),
        ("out.manifest", SAGEMAKER),
    ],
)
def test_what_other_tools_export_gives_sets_and_is_refused_where_there_is_one_label(name, data):
    assert labels(layout(data, name))[:2] == [["ant", "bee"], None]
    error = layout(data, name, kind="single_label").place(FILES[0]).error
    assert (error.code, error.extra["labels"]) == ("several_labels", ["ant", "bee"])
    assert "multi_label" in error.hint
