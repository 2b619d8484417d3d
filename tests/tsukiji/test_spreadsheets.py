import pytest

from tsukiji.spreadsheets import harmless, plain


@pytest.mark.parametrize(
    "text", ["=1+1", "+", "-1", "@home", "\tx", "\rx", "'=", "''-1", "'", "it's", "'quoted'", "", "cat"]
)
def test_what_is_made_harmless_is_read_back(text):
    assert plain(harmless(text)) == text
    assert not harmless(text).startswith(("=", "+", "-", "@", "\t", "\r"))


def test_numbers_stay_numbers():
    assert harmless(-1) == -1
