import io

import pytest
from rich.console import Console

from devtools.scripted_service import evaluation
from tsukiji import types
from tsukiji.cli.matrix import print_confusion
from tsukiji.cli.report import fraction

CONFUSION = [[2, 0, 0], [1, 8, 1], [0, 0, 5]]


def shown(names, confusion, **options):
    file = io.StringIO()
    metrics = evaluation()["metrics"] | {"label_names": names, "confusion": confusion, "per_class": []}
    print_confusion(types.Metrics.model_validate(metrics), Console(file=file, **{"width": 80} | options))
    return file.getvalue()


def test_cells_are_shaded_by_their_share_and_show_their_numbers():
    text = shown(["cat", "dog", "bee"], CONFUSION, force_terminal=True, color_system="truecolor")
    assert "48;2;33;102;172m" in text, "all of its row"
    plain = shown(["cat", "dog", "bee"], CONFUSION, force_terminal=True, no_color=True)
    assert "48;2" not in plain
    assert plain.splitlines()[2].split() == ["dog", "1", "8", "1"]


def test_what_does_not_fit_the_terminal_becomes_its_most_confused_pairs():
    text = shown(["cat", "dog", "bee"], CONFUSION, force_terminal=True, no_color=True, width=30)
    assert "true \\ predicted" not in text
    assert [line.split() for line in text.splitlines()[1:]] == [["dog", "cat", "1"], ["dog", "bee", "1"]]


def test_a_hundred_labels_list_the_most_confused_first():
    names = [f"kind {number}" for number in range(100)]
    confusion = [[9 if row == column else 0 for column in range(100)] for row in range(100)]
    confusion[3][4], confusion[5][6] = 1, 2
    lines = shown(names, confusion, width=40).splitlines()
    assert [line.split() for line in lines[1:]] == [["kind", "5", "kind", "6", "2"], ["kind", "3", "kind", "4", "1"]]


@pytest.mark.parametrize(
    ("images", "told"), [(4, "0.67"), (99, "0.67"), (200, "0.667"), (5000, "0.6667"), (10**6, "0.6667"), (1, "0.67")]
)
def test_a_fraction_has_the_digits_that_its_images_allow(images, told):
    assert fraction(2 / 3, images) == told
    assert fraction(None, images) is None
