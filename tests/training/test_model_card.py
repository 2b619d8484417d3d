import numpy as np
import pytest

from tests.training.conftest import MakeRun
from training.metrics import measure
from training.model_card import write_card
from training.run import load
from tsukiji.types import Leakage


def test_card_says_how_good_the_model_is_and_what_it_mixes_up(make_run: MakeRun) -> None:
    run = load(make_run(model_name="fish | *fresh*"))
    truth, probabilities = np.array([0, 0, 1, 2]), np.eye(3)[[0, 1, 1, 2]]
    card = write_card(run, measure(truth, probabilities, run.label_names), "random")
    assert card.startswith("---\npipeline_tag: image-classification\n")
    assert 'model_name: "fish | *fresh*"' in card
    assert r"# fish \| \*fresh\*" in card
    assert "**75.0%**" in card
    assert "- blue taken for green: 1" in card
    assert "blue: 8, green: 8, red: 8" in card


def test_card_says_of_a_label_without_held_out_pictures_that_it_is_unknown(make_run: MakeRun) -> None:
    run = load(make_run())
    card = write_card(run, measure(np.array([0, 1]), np.eye(3)[:2], run.label_names), "random")
    assert f"| {run.label_names[2]} | unknown | unknown | unknown | 0 |" in card


def test_card_of_a_faultless_model(make_run: MakeRun) -> None:
    run = load(make_run())
    truth = np.array([0, 1, 2])
    assert "mixed up none" in write_card(run, measure(truth, np.eye(3), run.label_names), "random")


@pytest.mark.parametrize(
    ("leakage", "words"),
    [
        (
            Leakage(near_duplicate_groups=3, near_duplicates=8),
            "8 of the pictures have near-duplicates (3 groups); none",
        ),
        (
            Leakage(near_duplicate_groups=3, near_duplicates=8, straddling=1),
            "on both sides of the split, which make the figures too good: **1**",
        ),
    ],
)
def test_card_says_whether_the_split_leaks(make_run: MakeRun, leakage: Leakage, words: str) -> None:
    run = load(make_run(leakage=leakage.model_dump()))
    metrics = measure(np.array([0, 1]), np.eye(3)[:2], run.label_names)
    assert words in write_card(run, metrics, "random")
