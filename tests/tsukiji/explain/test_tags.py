"""Windows and tags: boxes in pixels of the picture for all proportions; kinds are distinguished by position."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tests.tsukiji.vision.packages import LABELS, write_package
from tests.tsukiji.vision.pictures import noise
from tsukiji.explain import tags, window_regression, windows
from tsukiji.explain.collages import make_collage
from tsukiji.explain.tags import find_tags
from tsukiji.explain.window_regression import learn
from tsukiji.explain.windows import Windows, boxes_of, fit, look_closely
from tsukiji.vision.predictor import Predictor

COLOURS = {"cat": (220, 30, 30), "dog": (30, 30, 220)}
SHARP = 1.6
"""Pixels of the pass where things are told apart: of 64 pixels a side the product's 1.2 leave maps of three by two."""
SIZES = [(1, 1), (2, 300), (3000, 30), (64, 64), (700, 500)]


@pytest.fixture(scope="module")
def predictor(tmp_path_factory):
    return Predictor.load(write_package(tmp_path_factory.mktemp("packages") / "model"), "cpu")


def thing(kind, seed):
    """A grainy disc in its kind's colour on white: something that is not there once its parts are shuffled."""
    picture = noise(80, 80, seed).point(lambda value: 200 + value // 5)
    grain = np.asarray(noise(80, 80, seed + 1000), np.float32) * 0.25
    disc = Image.fromarray((np.array(COLOURS[kind]) * 0.75 + grain).clip(0, 255).astype(np.uint8))
    mask = Image.new("L", (80, 80))
    ImageDraw.Draw(mask).ellipse((8, 8, 72, 72), fill=255)
    picture.paste(disc, (0, 0), mask)
    return picture


@pytest.fixture(scope="module")
def reader(predictor):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows, "MORE_PIXELS", SHARP)
        patch.setattr(window_regression, "COLLAGES", 60)
        patch.setattr(window_regression, "RIDGE", 0.3)  # few windows of a random network
        return learn(predictor, [(thing(LABELS[seed % 2], seed), seed % 2) for seed in range(40)])


@pytest.fixture
def credulous(monkeypatch):
    """A random network is sure of nothing: have every place be a tag."""
    monkeypatch.setattr(tags, "LEAST_SURE", 0.0)


@pytest.mark.parametrize("size", SIZES)
def test_windows_cover_a_picture_of_any_proportions_and_stay_within(size):
    boxes = boxes_of(*size)
    assert tuple(boxes[0]) == (0, 0, *size)
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2:] <= np.array(size) + 1e-3).all()
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    assert len(boxes) < 600
    assert boxes[1:, 2].max() == pytest.approx(size[0])
    assert boxes[1:, 3].max() == pytest.approx(size[1])


@pytest.mark.parametrize("size", SIZES)
def test_the_pass_has_little_more_pixels_than_it_may(predictor, size):
    height, width, _ = fit(predictor, Image.new("RGB", size)).shape
    assert width % 32 == height % 32 == 0
    assert max(width, height) <= 2 * 64 + 16
    assert width * height <= 4 * 64 * 64


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("taught", [False, True])
def test_a_picture_of_any_size_has_tags_within_it_or_none(predictor, reader, size, taught):
    for tag in find_tags(predictor, noise(*size, 3), reader if taught else None):
        left, upper, right, lower = tag.box
        assert 0 <= left < right <= size[0]
        assert 0 <= upper < lower <= size[1]
        assert tag.label in LABELS
        assert 0 <= tag.score <= 1


@pytest.mark.usefixtures("credulous")
def test_the_places_of_things_are_looked_at_first(predictor, reader, monkeypatch):
    monkeypatch.setattr(windows, "MORE_PIXELS", SHARP)
    picture = Image.new("RGB", (480, 240), (128, 128, 128))
    picture.paste(thing("cat", 101).resize((200, 200)), (0, 20))
    picture.paste(thing("dog", 102).resize((200, 200)), (280, 20))
    boxes = tags.propose(predictor, look_closely(predictor, picture), reader)
    centres = [(left + right) / 2 for left, _, right, _ in boxes.tolist()]
    assert {"cat" if centre < 200 else "dog" if centre > 280 else "nothing" for centre in centres} == {"cat", "dog"}
    assert 2 <= len(find_tags(predictor, picture, reader)) <= tags.PLACES


class Promises:
    """A reader of windows whose embeddings are what they promise."""

    def margins(self, embeddings):
        return embeddings[:, 0]


def test_windows_around_a_place_vote_on_its_box(predictor):
    whole, best, near, far = (0, 0, 400, 100), (0, 0, 100, 100), (30, 0, 130, 100), (300, 0, 400, 100)
    boxes = np.array([whole, best, near, near, far], np.float32)
    promise = np.array([9, 1.0, 0.9, 0.9, 0.5], np.float32)[:, None]
    found, promised = tags.likely(predictor, Windows(boxes, promise), Promises())
    assert 5 < found[0][0] < 25
    assert found[0][2] - found[0][0] == pytest.approx(100, abs=1e-3)
    assert found[1].tolist() == pytest.approx(far)
    assert promised.tolist() == pytest.approx([1.0, 0.5])


def test_one_window_that_promises_far_too_much_leaves_the_others_their_boxes(predictor):
    """Of odd pictures embeddings are a thousand times as large as of others."""
    best, hidden, beside = (0, 0, 100, 100), (50, 0, 150, 100), (80, 0, 180, 100)
    boxes = np.array([(0, 0, 400, 100), best, hidden, beside], np.float32)
    promise = np.array([0, 900.0, 800.0, 1.0], np.float32)[:, None]
    found, _ = tags.likely(predictor, Windows(boxes, promise), Promises())
    assert np.isfinite(found).all()


@pytest.mark.usefixtures("credulous")
def test_a_tag_says_what_the_model_says_of_that_part_alone(predictor, reader):
    picture = noise(300, 200, 5)
    for tag in find_tags(predictor, picture, reader):
        answers = predictor.answer([picture.crop(tag.box)])
        assert tag.score == pytest.approx(answers.probabilities.max(), abs=1e-5)
        assert tag.label == LABELS[answers.probabilities[0].argmax()]


@pytest.mark.usefixtures("credulous")
def test_tags_do_not_lie_upon_each_other(predictor, reader):
    boxes = [np.array(tag.box, np.float32) for tag in find_tags(predictor, noise(300, 200, 5), reader)]
    assert len(boxes) > 1
    for number, box in enumerate(boxes):
        others = np.array(boxes[number + 1 :]).reshape(-1, 4)
        smaller = np.minimum(tags._area(others), tags._area(box))
        assert (tags._common(others, box) <= (tags.OVERLAP + 0.05) * smaller).all()


def test_where_the_model_is_sure_of_nothing_there_is_no_tag(predictor, reader, monkeypatch):
    monkeypatch.setattr(tags, "LEAST_SURE", 1.01)
    assert find_tags(predictor, noise(90, 90, 1), reader) == []


def test_from_too_few_pictures_or_one_kind_nothing_is_learnt(predictor):
    pictures = [thing("cat", seed) for seed in range(window_regression.LEAST_PICTURES)]
    assert learn(predictor, [(picture, n % 2) for n, picture in enumerate(pictures[:5])]) is None
    assert learn(predictor, [(picture, 0) for picture in pictures]) is None


def test_a_window_of_all_of_a_picture_is_close_to_the_plain_answer(predictor):
    """At the resolution of training the maps are the same; only the points they are read at differ."""
    picture = noise(64, 64, 8)
    windows, plain = look_closely(predictor, picture), predictor.embed([picture])[0]
    first = windows.embeddings[0]
    assert first.shape == plain.shape
    assert np.corrcoef(first, plain)[0, 1] > 0.5


def test_things_of_a_collage_never_overlap():
    pictures = [thing("cat", 1), thing("dog", 2)]
    for seed in range(20):
        collage = make_collage(pictures, np.random.default_rng(seed))
        marks = np.zeros(collage.image.size[::-1], int)
        for _, (left, upper, right, lower) in collage.things:
            marks[upper:lower, left:right] += 1
        assert collage.things
        assert marks.max() == 1
