"""CSV as RFC 4180 has it, and what people make of it."""

import pytest

from tsukiji.ingest.importers.table_reader import rows
from tsukiji.ingest.importers.tables import csv_records


def cells(text):
    return [(line, "bad" if isinstance(row, ValueError) else row) for line, row in rows(text)]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_cell_in_quotes_holds_lines_quotes_and_commas(end):
    text = end.join(["file,label,notes", '1.jpg,cat,"seen at dusk,', "", 'near ""the"" barn"', '2.jpg,dog,"plain"', ""])
    assert cells(text) == [
        (1, ["file", "label", "notes"]),
        (2, ["1.jpg", "cat", 'seen at dusk,\n\nnear "the" barn']),
        (5, ["2.jpg", "dog", "plain"]),
    ]


def test_the_header_may_hold_lines_too():
    assert cells('"file\nname";"a, b, c"\n1.jpg;cat\n') == [(1, ["file\nname", "a, b, c"]), (3, ["1.jpg", "cat"])]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('f,l\n1,"a\n2,b\n3,c\n', [(2, "bad"), (3, ["2", "b"]), (4, ["3", "c"])]),
        ('f,l\n1,"a\n2,"b"\n3,c\n', [(2, "bad"), (3, ["2", "b"]), (4, ["3", "c"])]),
        ('f,l\n1,"a\n2,b,x"\n3,"c"\n', [(2, ["1", "a\n2,b,x"]), (4, ["3", "c"])]),
        ('f,l\n1,"a\n2,b\n3,"",c\n', [(2, "bad"), (3, ["2", "b"]), (4, ["3", "", "c"])]),
        ('f,l\n1,a"b\n', [(2, ["1", 'a"b'])]),
    ],
)
def test_a_quote_that_is_never_closed_costs_its_own_line(text, expected):
    assert cells(text)[1:] == expected


def test_many_quotes_that_are_never_closed_take_no_time():
    text = "f,l\n" + '1,"a\n2,b\n' * 20_000
    assert sum(row == "bad" for _, row in cells(text)) >= 19_999


def test_spaces_after_commas_are_none_of_the_cells():
    assert cells('filename, cat, "a, b"\n1.jpg, 1, 0\n')[1] == (2, ["1.jpg", "1", "0"])
    assert cells('file,label\n" 1.jpg", cat\n')[1] == (2, [" 1.jpg", " cat"]), "a header without them says otherwise"


def test_rows_of_nothing_are_passed_over():
    assert cells("f,l\n,\n\n , \n1,a\n") == [(1, ["f", "l"]), (5, ["1", "a"])]


def test_the_quote_before_a_formula_is_taken_away():
    assert [row for _, row in csv_records("file,label\n'-1.jpg,'=cat\n'a.jpg,''+\n")] == [
        {"file": "-1.jpg", "label": "=cat"},
        {"file": "'a.jpg", "label": "'+"},
    ]
