"""How tables tell labels: columns of 0 and 1, words of other tools, folders beside them, what looks like a mistake."""

import json

import pytest

from tsukiji.ingest.importers import Table, lay_out
from tsukiji.labels import split_labels
from tsukiji.types import ImportOptions

FILES = [f"images/{number}.jpg" for number in range(1, 5)]


def layout(data, name="labels.csv", kind="single_label", files=FILES, **options):
    data = data if isinstance(data, str) else json.dumps(data)
    return lay_out([*files, name], [Table(name, data.encode())], ImportOptions(**options), kind=kind)


def labels(found, files=FILES):
    places = [found.place(name) for name in files]
    assert all(place.error is None for place in places)
    texts = [place.label for place in places]
    return [split_labels(text) if text and found.kind == "multi_label" else text for text in texts]


def codes(found):
    return [warning["code"] for warning in found.warnings]


# --- columns of 0 and 1 ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["labels.csv", "labels.json"])
def test_one_1_in_each_row_is_the_label_where_each_image_has_one(name):
    rows = [("1", 1.0, 0.0, 0.0), ("2", 0.0, 1.0, 0.0), ("3", 0.0, 0.0, 1.0), ("4", 0.0, 0.0, 0.0)]
    data = "image,MEL,NV,BCC\n" + "".join(",".join(map(str, row)) + "\n" for row in rows)
    if name.endswith("json"):
        data = [dict(zip(("image", "MEL", "NV", "BCC"), row, strict=True)) for row in rows]
    found = layout(data, name)
    assert labels(found) == ["MEL", "NV", "BCC", None]
    assert codes(found) == ["labels_none"], "the fourth has none of the labels, which only sets can say"


def test_the_classification_csv_of_roboflow_lies_in_each_split():
    files = ["train/a.rf.0a1b.jpg", "valid/b.rf.0a1b.jpg"]
    tables = [
        Table("train/_classes.csv", b"filename, cat, dog\na.rf.0a1b.jpg, 1, 0\n"),
        Table("valid/_classes.csv", b"filename, cat, dog\nb.rf.0a1b.jpg, 0, 1\n"),
    ]
    found = lay_out([*files, *(table.name for table in tables)], tables, ImportOptions())
    assert [(found.place(name).label, found.place(name).split) for name in files] == [
        ("cat", "train"),
        ("dog", "valid"),
    ]


def test_several_1_in_a_row_are_told_and_nothing_is_made_of_them():
    found = layout("file,ant,bee\n1.jpg,1,1\n2.jpg,1,0\n3.jpg,0,1\n4.jpg,1,0\n")
    assert labels(found) == [None] * 4
    assert "columns_look_like_labels" in codes(found)
    assert "multi_label" in found.warnings[0]["detail"]


def test_a_single_column_of_0_and_1_or_one_that_is_mostly_0_is_no_label():
    assert labels(layout("file,blurry\n1.jpg,1\n2.jpg,1\n")) == [None] * 4
    assert labels(layout("file,blurry,dark\n1.jpg,0,0\n2.jpg,0,0\n3.jpg,0,0\n4.jpg,1,0\n")) == [None] * 4


def test_columns_that_are_named_are_labels_of_one_or_of_several():
    data = "file,ant,bee,blurry\n1.jpg,1,0,1\n2.jpg,0,1,1\n3.jpg,1,1,0\n"
    found = layout(data, columns={"label": ["ant", "bee"]})
    assert [found.place(name).label for name in FILES[:2]] == ["ant", "bee"]
    assert found.place(FILES[2]).error.code == "several_labels"


# --- words -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "head", ["fname,labels", "Image,Target", "FilePath,Class Name", "img_path,ground_truth", "name,dx"]
)
def test_words_of_the_tools_that_people_come_from(head):
    assert labels(layout(f"{head}\n1.jpg,cat\n2.jpg,dog\n"))[:2] == ["cat", "dog"]


def test_a_name_or_an_id_says_which_file_only_where_such_files_are():
    assert labels(layout("id,breed,label\n1,x,cat\n2,y,dog\n"))[:2] == ["cat", "dog"]
    found = layout("id,name,label\n7,cat,feline\n8,dog,canine\n")
    assert [error.code for _, error in found.faults] == ["table_invalid"], "a list of kinds is no table of pictures"
    assert codes(layout("Image,Id\n1.jpg,w_1\n")) == ["columns_ignored"], "that the label has such a name is told"
    found = layout("id,url,label\n1,https://photos.example/a.jpg,cat\n")
    assert [remote.placement.label for remote in found.remotes] == ["cat"]


@pytest.mark.parametrize(
    ("column", "values", "splits"),
    [
        ("is_valid", ["True", "False", "", "true"], ["valid", "train", None, "valid"]),
        ("is_valid", ["1", "0", "0.0", "yes"], ["valid", "train", "train", "valid"]),
        ("Is Valid", ["T", "f", "F", "valid"], ["valid", "train", "train", "valid"]),
        ("is_test", ["True", "False", "0", "1"], ["test", None, None, "test"]),
    ],
)
def test_a_column_of_yes_and_no_tells_splits(column, values, splits):
    rows = "".join(f"{number}.jpg,cat,{value}\n" for number, value in enumerate(values, 1))
    found = layout(f"fname,labels,{column}\n{rows}")
    assert [found.place(name).split for name in FILES] == splits
    found = layout(f"fname,labels,{column}\n{rows}", columns={"file": "fname", "split": column})
    assert [found.place(name).split for name in FILES] == splits


def test_a_table_that_tells_splits_goes_before_folders_and_its_own_name():
    files = ["train/1.jpg", "train/2.jpg"]
    found = layout("fname,labels,is_valid\n1.jpg,cat,True\n2.jpg,dog,\n", "train.csv", files=files)
    assert [found.place(name).split for name in files] == ["valid", None]


# --- folders beside tables -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["images", "data", "Photos", "train_images"])
def test_a_folder_that_holds_everything_is_no_label_where_a_table_speaks(folder):
    found = layout("file,split\n1.jpg,test\n", files=[f"{folder}/1.jpg", f"{folder}/2.jpg"])
    assert [found.place(f"{folder}/{number}.jpg").label for number in (1, 2)] == [None, None]


PETS = [f"{label}/{number}.jpg" for label in ("cat", "dog") for number in range(3)]


def test_a_table_that_takes_labels_away_says_so():
    found = layout("file,category\ncat/0.jpg,portrait\ndog/2.jpg,landscape\n", "credits.csv", files=PETS)
    assert labels(found, PETS) == ["portrait", None, None, None, None, "landscape"]
    (warning,) = found.warnings
    assert warning["code"] == "folder_labels_ignored"
    assert "4 pictures" in warning["detail"]
    assert "`--format folders`" in warning["detail"]
    assert labels(layout("", "credits.csv", files=PETS, format="folders"), PETS) == ["cat"] * 3 + ["dog"] * 3


@pytest.mark.parametrize("kind", ["single_label", "multi_label"])
def test_a_table_that_says_what_folders_say_leaves_the_rest_to_them(kind):
    found = layout("file,label,group\ncat/0.jpg,cat,Tom\ndog/2.jpg,dog,Rex\n", files=PETS, kind=kind)
    assert labels(found, PETS) == [["cat"]] * 3 + [["dog"]] * 3 if kind == "multi_label" else ["cat"] * 3 + ["dog"] * 3
    assert codes(found) == []


# --- what looks like a mistake ---------------------------------------------------------------------------------------


def test_a_comma_parts_labels_where_no_cell_has_another_mark():
    found = layout('file,tags\n1.jpg,"cat, indoor"\n2.jpg,dog\n3.jpg,"dog,outdoor"\n', kind="multi_label")
    assert labels(found)[:3] == [["cat", "indoor"], ["dog"], ["dog", "outdoor"]]
    assert codes(found) == ["separator_guessed"]
    found = layout('file,tags\n1.jpg,"Smith, J.|cat"\n2.jpg,"Smith, J."\n', kind="multi_label")
    assert (labels(found)[:2], codes(found)) == ([["Smith, J.", "cat"], ["Smith, J."]], [])
    found = layout('file,tags\n1.jpg,"cat, indoor"\n', kind="multi_label", separator="|")
    assert (labels(found)[0], codes(found)) == (["cat, indoor"], [])


def test_labels_that_look_like_several_are_told():
    assert codes(layout('file,tags\n1.jpg,"cat, indoor"\n2.jpg,"dog, indoor"\n')) == ["labels_look_joined"]
    assert codes(layout("file,tags\n1.jpg,cat indoor\n2.jpg,dog indoor\n", kind="multi_label")) == [
        "labels_look_joined"
    ]
    assert codes(layout("file,tags\n1.jpg,red ant\n2.jpg,bee\n3.jpg,wasp\n", kind="multi_label")) == []


def test_nan_in_json_is_no_label_and_a_whole_number_is_one():
    data = '[{"file": "1.jpg", "label": "dog"}, {"file": "2.jpg", "label": NaN}, {"file": "3.jpg", "label": 1.0}]'
    assert labels(layout(data, "labels.json")) == ["dog", None, "1", None]
    lines = '{"file": "1.jpg", "labels": ["dog", NaN], "split": NaN}\n{"file": "2.jpg", "labels": NaN}\n'
    assert labels(layout(lines, "labels.jsonl", "multi_label"))[:2] == [["dog"], None]


def test_words_of_programs_for_what_is_missing_are_told():
    found = layout("file,label\n1.jpg,nan\n2.jpg,None\n3.jpg,cat\n4.jpg,cat\n")
    assert (labels(found), codes(found)) == (["nan", "None", "cat", "cat"], ["labels_look_missing"])
    assert codes(layout("file,label\n1.jpg,0.0\n2.jpg,1.0\n3.jpg,\n")) == ["labels_look_rounded"]
    assert codes(layout("file,label\n1.jpg,0.5\n2.jpg,1.0\n")) == []
