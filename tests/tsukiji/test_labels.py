import pytest

from tsukiji.labels import (
    MAX_SET_BYTES,
    SEPARATOR,
    clean_label,
    clean_word,
    folder_labels,
    join_labels,
    look_alikes,
    split_labels,
)


@pytest.mark.parametrize(
    "text",
    [
        "cat",
        " cat",
        "cat ",
        "\tcat\n",
        "cat\u00a0",
        "cat\u200b",
        "\ufeffcat",
        "cat\u3000",
        "\u200e cat \u2060",
        "cat\u00ad",
    ],
)
def test_a_label_is_kept_without_what_cannot_be_seen_around_it(text):
    assert clean_label(text) == clean_word(text) == "cat"


@pytest.mark.parametrize("text", ["", " ", "\u200b", "\ufeff \u00a0", None])
def test_nothing_is_no_word(text):
    assert clean_word(text) is None


@pytest.mark.parametrize("text", ["black  cat", "a\u200cb", "👩\u200d🌾", "n/a", "trailing.", "က\u1039က"])
def test_what_stands_inside_of_a_label_stays(text):
    assert clean_label(text) == text


@pytest.mark.parametrize(("text", "reason"), [("a\0b", "control"), ("a\x1fb", "control"), ("x" * 201, "at most 200")])
def test_labels_that_are_refused(text, reason):
    with pytest.raises(ValueError, match=reason):
        clean_label(text)


def test_a_folder_lists_trimmed_labels():
    assert folder_labels("ant\u00a0+ \u200bbee+") == ["ant", "bee"]


@pytest.mark.parametrize(
    "labels", [["Cat", "cat", "CAT"], ["black cat", "blackcat"], ["ｃａｔ", "cat"], ["ﾈｺ", "ネコ"], ["a\u200bb", "ab"]]
)
def test_labels_that_look_alike_are_told_together(labels):
    (warning,) = look_alikes([*labels, "dog"], new=labels[:1])
    assert warning["code"] == "labels_alike"
    assert all(repr(label) in warning["detail"] for label in labels)
    assert "dog" not in warning["detail"]


def test_labels_that_look_alike_are_old_news_where_none_is_new():
    assert look_alikes(["Cat", "cat", "dog"], new=["dog"]) == []
    assert look_alikes(["cat", "car", "cats"], new=["cat", "car", "cats"]) == []


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
