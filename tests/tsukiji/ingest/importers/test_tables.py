"""Tables of one's own: columns known or named, errors with their lines, files found where they are."""

import json
import unicodedata

import pytest

from tsukiji.errors import TableInvalid
from tsukiji.ingest.importers import Table, lay_out
from tsukiji.types import ImportOptions

FILES = ("images/1.jpg", "images/2.jpg", "images/3.jpg")


def layout(data, files=FILES, name="labels.csv", **options):
    data = data if isinstance(data, bytes) else data.encode()
    return lay_out([*files, name], [Table(name, data)], ImportOptions(**options))


def faults(found):
    return [(name, error.code, error.extra.get("line")) for name, error in found.faults]


@pytest.mark.parametrize(
    "head", ["file,label,split,group", "File Name,Class,Set,Group", "filename;category;subset;group-id"]
)
def test_usual_columns_are_known(head):
    mark = ";" if ";" in head else ","
    rows = [head, mark.join(["1.jpg", "cat", "train", "Tom"]), mark.join(["2.jpg", "", "val", ""])]
    found = layout("\n".join(rows))
    first, second, third = (found.place(file) for file in FILES)
    assert (first.label, first.split, first.group) == ("cat", "train", "Tom")
    assert (second.label, second.split, second.group) == (None, "valid", None)
    assert third.label is None, "where a table speaks of labels, the folder `images` does not"
    assert found.faults == []


def test_columns_can_be_named():
    found = layout("id,species,fold\n1,cat,test\n", columns={"file": "id", "label": "species", "split": "fold"})
    assert (found.place(FILES[0]).label, found.place(FILES[0]).split) == ("cat", "test")
    assert found.warnings == []


def test_a_column_that_is_not_there():
    found = layout("file,label\n1.jpg,cat\n", columns={"label": "species"})
    assert faults(found) == [("labels.csv", "table_invalid", 1)]
    assert "'species'" in found.faults[0][1].detail
    with pytest.raises(TableInvalid, match="species"):
        lay_out(FILES, [Table("t.csv", b"file,label\n", is_named=True)], ImportOptions(columns={"label": "species"}))


def test_no_column_says_where_the_pictures_are():
    found = layout("title,label\n1.jpg,cat\n")
    assert faults(found) == [("labels.csv", "table_invalid", 1)]
    assert found.place(FILES[0]).label == "images", "the rest goes on as if it were not there"


def test_columns_that_nothing_is_made_of_are_told():
    found = layout("file,lable\n1.jpg,cat\n")
    [warning] = found.warnings
    assert (warning["code"], "'lable'" in warning["detail"]) == ("columns_ignored", True)


def test_each_bad_line_is_told_and_costs_only_itself():
    found = layout(
        "file,label,split\n"
        "1.jpg,cat,train\n"
        "2.jpg,cat\n"
        "2.jpg,cat,train,more\n"
        "2.jpg,cat,tuesday\n"
        ",cat,train\n"
        '2.jpg,"cat,train\n'
        "\n"
        "9.jpg,cat,train\n"
        "1.jpg,dog,train\n"
        "3.jpg,dog,test\n"
    )
    assert faults(found) == [
        ("labels.csv, line 3", "table_line_invalid", 3),
        ("labels.csv, line 4", "table_line_invalid", 4),
        ("labels.csv, line 5", "table_line_invalid", 5),
        ("labels.csv, line 6", "table_line_invalid", 6),
        ("labels.csv, line 7", "table_line_invalid", 7),
        ("9.jpg", "file_not_sent", 9),
        ("labels.csv, line 2", "table_line_invalid", 2),
        ("labels.csv, line 10", "table_line_invalid", 10),
    ]
    assert found.place("images/3.jpg").label == "dog"
    assert found.place("images/1.jpg").label is None, "two lines mean it, and neither writes its whole path"


def test_the_line_that_writes_the_whole_path_wins():
    found = layout("file,label\n1.jpg,cat\nimages/1.jpg,dog\n")
    assert found.place("images/1.jpg").label == "dog"
    assert faults(found) == [("labels.csv, line 2", "table_line_invalid", 2)]


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_tables_in_any_of_the_usual_encodings(encoding, end):
    text = end.join(["file,label", "1.jpg,Bärenmakrele", "2.jpg,pâté", ""])
    found = layout(text.encode(encoding))
    assert [found.place(file).label for file in FILES[:2]] == ["Bärenmakrele", "pâté"]


def test_labels_and_files_that_are_decomposed_are_the_same():
    decomposed = unicodedata.normalize("NFD", "pâté/1.jpg,pâté")
    found = layout(f"file,label\n{decomposed}\n", files=[unicodedata.normalize("NFC", "pâté/1.jpg")])
    assert found.place("pâté/1.jpg").label == unicodedata.normalize("NFC", "pâté")


def test_a_table_of_windows_writes_paths_its_own_way():
    found = layout("file,label\r\n.\\images\\1.jpg,cat\r\nimages\\2.jpg,dog\r\n")
    assert [found.place(file).label for file in FILES[:2]] == ["cat", "dog"]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("1.jpg", "a/train/1.jpg"),
        ("train/1.jpg", "a/train/1.jpg"),
        ("/home/me/pets/train/1.jpg", "a/train/1.jpg"),
        ("x/train/2.jpg", "a/train/2.jpg"),
        ("2.jpg", None),
        ("y/2.jpg", None),
        ("../1.jpg", "a/train/1.jpg"),
        ("3", "a/3.jpg"),
        ("3.png", "a/3.jpg"),
        ("2.png", None),
    ],
)
def test_files_are_found_by_the_end_of_their_path(written, meant):
    files = ["a/train/1.jpg", "a/train/2.jpg", "a/test/2.jpg", "a/3.jpg"]
    found = layout(f"file,label\n{written},cat\n", files)
    assert [file for file in files if found.place(file).label == "cat"] == ([meant] if meant else [])
    assert [code for _, code, _ in faults(found)] == ([] if meant else ["file_not_sent"])


def test_many_files_of_one_name_take_no_time():
    files = [f"{number}/x.jpg" for number in range(5000)]
    found = layout("file,label\n" + "x.jpg,cat\n" * 5000, files)
    assert len(found.faults) == 5000


def test_addresses_are_fetched_unless_their_file_is_there():
    found = layout(
        "url,label\nhttps://photos.example/1.jpg,cat\ns3://bucket/images/2.jpg,dog\ns3://bucket/9.jpg,dog\n"
        "ftp://photos.example/1.jpg,cat\n"
    )
    assert [(remote.url, remote.placement.label) for remote in found.remotes] == [
        ("https://photos.example/1.jpg", "cat"),
        ("s3://bucket/9.jpg", "dog"),
    ]
    assert found.place("images/2.jpg").label == "dog"
    assert [code for _, code, _ in faults(found)] == ["file_not_sent"]


@pytest.mark.parametrize("name", ["urls.txt", "urls.csv"])
def test_a_list_of_addresses_needs_no_header(name):
    urls = ["http://photos.example/1.jpg", "https://photos.example/2.jpg?size=1,2"]
    found = layout("\r\n".join(urls), name=name, files=(), label="bear")
    assert [(remote.url, remote.placement.label) for remote in found.remotes] == [(url, "bear") for url in urls]


def test_other_text_is_no_table():
    found = layout("Read me, and then http://photos.example.\n", name="README.txt")
    assert (found.tables, found.faults) == (set(), [])


def test_json_lines_with_bad_ones_among_them():
    rows = [
        {"file": "1.jpg", "label": "cat"},
        "no json",
        [1],
        {"label": "cat"},
        {"file": {"a": 1}},
        {"file": "2.jpg", "label": {"name": "cat"}},
        {"file": "2.jpg", "label": 7, "split": "dev"},
        {"file": "3.jpg", "label": None},
    ]
    text = "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows)
    found = layout(text, name="labels.jsonl")
    assert [line for _, _, line in faults(found)] == [2, 3, 4, 5, 6]
    places = [found.place(file) for file in FILES]
    assert [(place.label, place.split) for place in places] == [("cat", None), ("7", "valid"), (None, None)]


def test_a_json_list_is_a_table_too():
    found = layout(json.dumps([{"file": "1.jpg", "label": "cat"}, 5]), name="labels.json")
    assert (found.place(FILES[0]).label, faults(found)[0][2]) == ("cat", 2)


def test_wishes_fill_what_tables_leave_open_and_go_before_folders():
    wishes = {"label": "pet", "split": "valid", "group": "Felix"}
    found = layout("file,label,split\n1.jpg,cat,test\n2.jpg,,\n", **wishes)
    assert [(place.label, place.split, place.group) for place in map(found.place, FILES)] == [
        ("cat", "test", "Felix"),
        ("pet", "valid", "Felix"),
        ("pet", "valid", "Felix"),
    ]
    assert lay_out(FILES, [], ImportOptions(label="pet")).place(FILES[0]).label == "pet"


def test_a_table_without_labels_leaves_those_to_the_folders():
    found = layout("file,split\ncat/1.jpg,test\n", files=["cat/1.jpg", "dog/2.jpg"])
    assert (found.place("cat/1.jpg").label, found.place("cat/1.jpg").split) == ("cat", "test")
    assert found.place("dog/2.jpg").label == "dog"


def test_folders_only():
    found = layout("file,label\n1.jpg,cat\n", format="folders")
    assert (found.place(FILES[0]).label, found.tables) == ("images", set())


def test_a_table_with_more_lines_than_there_may_be():
    with pytest.raises(TableInvalid, match="More than 2 pictures"):
        lay_out([], [Table("t.csv", b"file\n1\n2\n3\n")], ImportOptions(), max_items=2)


def test_a_table_that_was_named_goes_before_those_that_were_found():
    found = lay_out(
        [*FILES, "labels.csv"],
        [
            Table("labels.csv", b"file,label\nimages/1.jpg,cat\nimages/2.jpg,cat\n"),
            Table("mine.csv", b"name,label,split\nimages/1.jpg,dog,test\n", is_named=True),
        ],
        ImportOptions(),
    )
    assert [(found.place(file).label, found.place(file).split) for file in FILES[:2]] == [
        ("dog", "test"),
        ("cat", None),
    ]
    assert found.faults == []


@pytest.mark.parametrize("rows", ["1.jpg,cat\n", "\n"], ids=["pictures", "nothing"])
def test_a_table_of_too_many_lines_is_refused_without_being_read_to_its_end(rows):
    table = Table("labels.csv", b"file,label\n" + rows.encode() * 2_000_000, is_named=True)
    with pytest.raises(TableInvalid, match="pictures") as refused:
        lay_out(FILES, [table], ImportOptions(), max_items=1000)
    assert refused.value.hint == "Split the table."
