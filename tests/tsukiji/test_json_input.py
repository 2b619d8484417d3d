"""JSON from outside is parsed uniformly; what cannot be traversed or stored is refused as invalid JSON."""

import pytest

from tsukiji.ingest.importers import multilabel, table_reader
from tsukiji.json_input import MOST_DEPTH, read_json
from tsukiji.kernel.predict_rpc import RpcBroken, unpack


def nested(depth):
    return "[" * depth + "]" * depth


@pytest.mark.parametrize(
    "text",
    [
        nested(MOST_DEPTH + 1),
        "[" * 100_000,
        '{"a":' * 100_000,
        r'"\ud800"',
        r'{"\udfff": 1}',
        '"\ud800"',
        b'"\xed\xa0\x80"',
        b'"\xff"',
        '{"a": 1}'.encode("utf-16"),
        "1" * 5000,
        '"a\x01b"',
        '{"a": 1} x',
        "",
    ],
    ids=lambda text: repr(text[:20]),
)
def test_what_is_refused(text):
    with pytest.raises(ValueError, match=r"\w"):
        read_json(text)


def test_what_is_read():
    assert read_json(nested(MOST_DEPTH)) is not None
    assert read_json(b'\xef\xbb\xbf{"a": "\\ud83c\\udf63", "a": 2}') == {"a": 2}
    assert read_json('"\\ud83c\\udf63"') == "🍣"


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', '[{"b": {"a": 1, "a": 1}}]'])
def test_names_that_stand_twice(text):
    with pytest.raises(ValueError, match="duplicate name"):
        read_json(text, unique=True)


def test_every_reader_has_the_depth():
    deep = nested(MOST_DEPTH + 1)
    assert isinstance(table_reader.record('{"label": ' + deep + "}"), ValueError)
    assert table_reader.document(deep) is None
    assert multilabel.json_list(deep) is None
    with pytest.raises(RpcBroken):
        unpack(deep.encode())
