import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsukiji.spreadsheets import FORMULA, harmless, plain


@pytest.mark.parametrize(
    "text", ["=1+1", "+", "-1", "@home", "\tx", "\rx", "'=", "''-1", "'", "it's", "'quoted'", "", "cat"]
)
def test_what_is_made_harmless_is_read_back(text):
    assert plain(harmless(text)) == text
    assert not harmless(text).startswith(("=", "+", "-", "@", "\t", "\r"))


def test_numbers_stay_numbers():
    assert harmless(-1) == -1


@pytest.mark.parametrize(
    "text",
    [
        "tuna;=cmd|' /C calc'!A0",
        "tuna\t@home",
        "tuna|+1",
        "tuna, -1",
        "tuna\n=1",
        "tuna\r\n=1",
        "tuna\u2028=1",
        'tuna";=1',
        'tuna;"=1"',
        " =1",
        "\uff1d1",
        "tuna;\uff0b1",
        "\uff0d1",
        "\uff20a",
        "\t=1",
        "''\t",
    ],
)
def test_no_reading_of_a_table_finds_a_formula(text):
    """For any separator of any program, even if quotes do not protect cells."""
    written = harmless(text)
    cells = re.split("[\\n\\r\\u2028\\t,;|]", written)
    assert not [cell for cell in cells if re.match(r"[\s\"]*[=+@\uff1d\uff0b\uff0d\uff20-]", cell)]
    assert plain(written) == text


@given(st.text(alphabet=st.sampled_from("a'\"=-\uff1d;,|\t\n\r "), max_size=8))
def test_every_text_is_read_back(text):
    assert plain(harmless(text)) == text
    assert not FORMULA.search(harmless(text).replace("'", "a"))


@pytest.mark.parametrize("text", ["a-b", "a=b", "ant|bee", "a, b", "3 - 2", "cat@home", "2026-01-01"])
def test_what_no_spreadsheet_runs_stays(text):
    assert harmless(text) == text
