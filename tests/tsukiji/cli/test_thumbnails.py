import io
import re

import pytest
from PIL import Image
from rich.console import Console

from devtools.scripted_service import evaluation, model, page
from tsukiji.cli import models
from tsukiji.cli.thumbnails import protocol_of, show_pictures
from tsukiji.vision import terminal_images


def console(**options):
    return Console(file=io.StringIO(), **{"force_terminal": True, "color_system": "truecolor", "width": 60} | options)


@pytest.fixture
def picture():
    file = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("environment", "protocol"),
    [
        ({"KITTY_WINDOW_ID": "1"}, "kitty"),
        ({"TERM": "xterm-ghostty"}, "kitty"),
        ({"TERM_PROGRAM": "iTerm.app"}, "iterm"),
        ({"TERM_PROGRAM": "WezTerm"}, "iterm"),
        ({"TERM": "foot"}, "sixel"),
        ({"TERM_PROGRAM": "iTerm.app", "TMUX": "x"}, "blocks"),
        ({"TERM": "xterm-256color"}, "blocks"),
    ],
)
def test_a_terminal_is_known_by_its_environment(environment, protocol):
    assert protocol_of("auto", console(), environment) == protocol


@pytest.mark.parametrize(
    "options", [{"force_terminal": False}, {"no_color": True}, {"color_system": "256"}, {"width": 20}]
)
def test_elsewhere_there_are_no_pictures(options):
    assert protocol_of("auto", console(**options), {}) == "none"
    assert protocol_of("blocks", console(**options), {}) == "blocks"


def test_pictures_that_fit_are_side_by_side_with_their_lines_below(picture):
    shown = console()
    captions = [["first.jpg", "is cat"], ["an extremely long name.jpg", "is dog"], ["third.jpg", "is bee"]]
    show_pictures([(picture, lines) for lines in captions], "blocks", shown)
    lines = re.sub(r"\x1b\[[\d;]*m", "", shown.file.getvalue()).splitlines()
    assert lines[:12] == ["▀" * 24 + "  " + "▀" * 24] * 12
    assert lines[12] == "first.jpg".ljust(26) + "an extremely long name.…"
    assert lines[-3].strip() == "third.jpg"


def test_kitty_and_iterm_get_a_png_of_so_many_characters(picture):
    opened = Image.open(io.BytesIO(picture))
    told = terminal_images.kitty([opened, opened])
    assert told.startswith("\x1b_Ga=T,f=100,c=50,r=12,m=")
    assert told.endswith("\x1b\\")
    assert "width=24;height=12;" in terminal_images.iterm([opened])


def test_sixels_repeat_one_colour_over_the_square(picture):
    told = terminal_images.sixel([Image.open(io.BytesIO(picture))])
    assert told.startswith('\x1bP0;1q"1;1;240;240#')
    assert told.count("!240~") == 40, "40 bands of six rows"


def test_mistakes_begin_with_pictures(service, run, monkeypatch, picture):
    wrong = {"seq": 0, "image_id": "img_1", "name": "cat/b.png", "sha256": "0", "score": 0.9, "loss": 3.0}
    wrong |= {"true_label": "cat", "true_labels": ["cat"], "predicted_label": "dog", "predicted_labels": ["dog"]}
    service.answer("GET", "/v1/models/pets", model())
    service.answer("GET", "/v1/evaluations/evl_1", evaluation())
    service.answer("GET", "/v1/evaluations/evl_1/items", page(wrong, wrong | {"image_id": "img_gone"}))
    service.answer("GET", "/v1/images/img_1/content", picture)
    drawn = []
    monkeypatch.setattr(models, "show_pictures", lambda pictures, protocol: drawn.append((pictures, protocol)))
    run("models", "mistakes", "pets")
    assert drawn == [], "a pipe"
    run("models", "mistakes", "pets", "--pictures", "blocks")
    assert drawn == [([(picture, ["b.png", "is cat", "taken for dog 0.90"])], "blocks")]
