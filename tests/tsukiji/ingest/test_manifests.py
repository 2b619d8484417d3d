import json

import pytest

from tsukiji.ingest.manifests import LINE_BYTES, read_lines


def lines(*records):
    return b"".join(
        (record if isinstance(record, bytes) else json.dumps(record).encode()) + b"\n" for record in records
    )


def read(data, piece=None):
    pieces = [data] if piece is None else [data[at : at + piece] for at in range(0, len(data), piece)]
    return list(read_lines(pieces))


@pytest.mark.parametrize("piece", [None, 1, 7])
def test_good_lines_in_any_pieces(piece):
    data = lines({"custom_id": "寿司", "image": "img_1", "true_label": "tuna"}, b"", {"image": "sha256:ab"})
    first, second = read(data, piece)
    assert (first.number, first.custom_id, first.request.image, first.request.true_label) == (
        1,
        "寿司",
        "img_1",
        "tuna",
    )
    assert (second.number, second.custom_id, second.error) == (3, "sha256:ab", None)


def test_files_of_windows_and_without_a_last_line_end():
    data = b"\xef\xbb\xbf" + b'{"image": "a"}\r\n\r\n{"image": "b"}'
    assert [(line.number, line.custom_id, line.error) for line in read(data)] == [(1, "a", None), (3, "b", None)]


@pytest.mark.parametrize(
    "bad",
    [
        b"no json",
        b"[]",
        b"null",
        b'{"custom_id": "a"}',
        b'{"image": ""}',
        b'{"image": 5}',
        b'{"image": "a", "label": "x"}',
        b'{"image": "a", "custom_id": ""}',
        b'{"image": "a", "custom_id": "a\\u0000b"}',
        b'{"image": "a", "true_label": "' + b"x" * 201 + b'"}',
        b'{"image": "\xff"}',
        b'{"image": "' + b"x" * LINE_BYTES + b'"}',
        b"[" * 10_000,
    ],
)
def test_a_bad_line_costs_only_itself_and_says_its_number(bad):
    first, broken, last = read(lines({"image": "a"}, bad, {"image": "b"}))
    assert (first.error, last.error, last.number) == (None, None, 3)
    assert (broken.request, broken.custom_id, broken.error.code) == (None, "line 2", "manifest_line_invalid")
    assert broken.error.to_dict()["line"] == 2
    assert broken.error.detail.startswith("Line 2: ")


def test_the_second_of_a_name_is_refused_by_name():
    data = lines({"custom_id": "a", "image": "x"}, {"custom_id": "b", "image": "x"}, {"custom_id": "a", "image": "y"})
    *good, double = read(data)
    assert [line.custom_id for line in good] == ["a", "b"]
    assert (double.custom_id, double.error.code) == ("line 3", "duplicate_custom_id")
    assert (double.error.extra["line"], double.error.extra["first_line"]) == (3, 1)


def test_a_line_without_end_takes_no_memory():
    pieces = (b"x" * 2**16 for _ in range(1000))
    (line,) = read_lines(pieces)
    assert "at most 65,536 bytes" in line.error.detail


def test_nothing_is_no_line():
    assert read(b"") == read(b"\n\n  \n") == []
