import numpy as np

from tests.training.conftest import MakeRun
from training.card import write_card
from training.evaluate import measure
from training.run import load


def test_card_says_how_good_the_model_is_and_what_it_mixes_up(make_run: MakeRun) -> None:
    run = load(make_run(model_name="fish | *fresh*"))
    truth, taken_for = np.array([0, 0, 1, 2]), np.array([0, 1, 1, 2])
    card = write_card(run, measure(truth, taken_for, np.ones(4, np.float32), run.label_names), "random")
    assert card.startswith("---\npipeline_tag: image-classification\n")
    assert 'model_name: "fish | *fresh*"' in card
    assert r"# fish \| \*fresh\*" in card
    assert "**75.0%**" in card
    assert "- blue taken for green: 1" in card
    assert "blue: 8, green: 8, red: 8" in card


def test_card_of_a_faultless_model(make_run: MakeRun) -> None:
    run = load(make_run())
    truth = np.array([0, 1, 2])
    assert "mixed up none" in write_card(run, measure(truth, truth, np.zeros(3, np.float32), run.label_names), "random")
