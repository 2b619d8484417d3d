"""The head on embeddings in memory: every row is seen, in one of its views, and it is the model's own that learns."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.training.conftest import MakeRun
from training.head import Rows, learner_on
from training.run import Run, load
from tsukiji.vision.model import Classifier, build

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def model() -> Classifier:
    torch.manual_seed(0)
    return build("resnet18", 3)


def embeddings(run: Run, model: Classifier, split: Any, views: int = 1, seed: int = 0) -> NDArray[np.float32]:
    """Embeddings that tell the class: a few columns of each are raised."""
    random = np.random.default_rng(seed)
    indices = run.of_split(split)
    rows = random.normal(0, 0.3, (views, len(indices), model.num_embedded)).astype(np.float32)
    for row, index in enumerate(indices):
        start = model.num_middle + 100 * run.label_names.index(run.images[index].label)
        rows[:, row, start : start + 100] += 1
    return rows


def test_an_epoch_has_every_row_once_in_one_of_its_views() -> None:
    views = torch.stack([torch.arange(50.0), torch.arange(50.0) + 1000])[:, :, None]
    loader = Rows(views, torch.arange(50), bs=8, shuffle=True)
    batches = list(loader)
    assert [len(classes) for _, classes in batches] == [8] * 6 + [2]
    rows, classes = torch.cat([rows for rows, _ in batches])[:, 0], torch.cat([classes for _, classes in batches])
    assert sorted(classes.tolist()) == list(range(50))
    assert classes.tolist() != list(range(50)), "shuffled"
    assert torch.equal(rows % 1000, classes.float()), "rows and classes stay together"
    assert 0 < (rows >= 1000).sum() < 50, "of both views"


def test_held_out_rows_come_in_order() -> None:
    rows = torch.arange(10.0)[None, :, None]
    assert torch.cat([classes for _, classes in Rows(rows, torch.arange(10), bs=4)]).tolist() == list(range(10))


def test_the_models_own_head_learns_and_its_body_does_not(make_run: MakeRun, model: Classifier) -> None:
    run = load(make_run(recipe={"backbone": "resnet18", "batch_size": 8}))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    learnt, held_out = embeddings(run, model, "train", 2), embeddings(run, model, "valid", seed=1)
    learner = learner_on(model, run, learnt, held_out, CPU)
    with learner.no_logging():
        learner.fit_one_cycle(8, 1e-2)
    assert learner.recorder.final_record[-1] > 0.9
    after = model.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all(name.startswith("head.") for name in changed)
    with torch.inference_mode():
        logits = model.eval().decide(torch.from_numpy(held_out[0]))
    truth = torch.tensor([run.label_names.index(run.images[index].label) for index in run.of_split("valid")])
    assert (logits.argmax(1) == truth).float().mean() == pytest.approx(learner.recorder.final_record[-1])


def test_fewer_images_than_a_batch_are_still_learnt_from(make_run: MakeRun, model: Classifier) -> None:
    run = load(make_run(recipe={"backbone": "resnet18", "batch_size": 1024}))
    learner = learner_on(model, run, embeddings(run, model, "train"), embeddings(run, model, "valid"), CPU)
    assert len(learner.dls.train) == 1
