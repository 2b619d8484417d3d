"""The presets, each through its stages, with random weights in the place of pretrained ones."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torchvision.models import resnet18

from tests.training.conftest import RECIPE, MakeRun, write_run
from training import callbacks, checkpoints, phases, recipes
from training import events as training_events
from training.control import Cancelled, Control
from training.events import Epoch, Event, Events
from training.job import prepare
from training.recipes import RATES
from training.run import load
from training.training_state import Fitted
from tsukiji.vision.backbones import preprocess_of
from tsukiji.vision.decoding.decode import DecodeLimits
from tsukiji.vision.feature_cache import find_space, weights_key
from tsukiji.vision.model import build

Train = Callable[..., Fitted]


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Tensor]]:
    """A folder with weights of resnet18, and these."""
    torch.manual_seed(0)
    state = resnet18(weights=None).state_dict()
    folder = tmp_path_factory.mktemp("weights")
    save_file(state, folder / "resnet18.safetensors")
    return folder, state


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all trainings have their folders."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def events(folder: Path) -> Iterator[Events]:
    descriptor = os.open(folder / "events", os.O_CREAT | os.O_WRONLY)
    yield Events(descriptor)
    os.close(descriptor)


@pytest.fixture(scope="module")
def train(
    folder: Path, pictures: list[dict[str, Any]], given: tuple[Path, dict[str, Tensor]], events: Events
) -> Iterator[Train]:
    """Return a function that trains by a preset, in a folder of that name; every epoch's checkpoint is kept."""

    def run(preset: str, name: str, resume: Path | None = None, images: Any = pictures, **recipe: Any) -> Fitted:
        wish = RECIPE | {"preset": preset, "pretrained": True} | recipe
        options = {"resume": str(resume)} if resume else {}
        run = write_run(folder / name, images, wish, weights_dir=str(given[0]), **options)
        return phases.trainer(preset)(prepare(load(run), run, events, Control()))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(callbacks, "CHECKPOINT_SECONDS", 0)
        patch.setattr(checkpoints, "KEPT", 100)
        yield run


@pytest.fixture(scope="module")
def thorough(train: Train) -> Fitted:
    """An undisturbed training of three epochs, in the folder `thorough`."""
    return train("thorough", "thorough", epochs=3, learning_rate=1e-3)


@pytest.fixture(scope="module")
def searched(train: Train) -> Fitted:
    """One of two epochs that searched its learning rate, in the folder `searched`."""
    return train("thorough", "searched", epochs=2)


@pytest.fixture
def checkpoint(folder: Path) -> Callable[[str, int], Path]:
    return lambda name, epoch: checkpoints.path_of(folder / name / "checkpoints", epoch)


def convolutions(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in state.items() if tensor.ndim == 4}


def assert_same(ours: Fitted, theirs: Fitted) -> None:
    """Equal but for the time they took, and rounding."""
    assert ours.epoch == theirs.epoch
    for mine, other in zip(ours.history, theirs.history, strict=True):
        assert mine.model_dump(exclude={"seconds"}) == pytest.approx(other.model_dump(exclude={"seconds"}), abs=1e-4)
    for name, tensor in theirs.weights.items():
        torch.testing.assert_close(ours.weights[name], tensor, rtol=1e-3, atol=1e-4)


def test_quick_learns_the_head_alone(train: Train, given: tuple[Path, dict[str, Tensor]]) -> None:
    fitted = train("quick", "head", epochs=5)
    body = {name: tensor for name, tensor in fitted.weights.items() if not name.startswith("head.")}
    assert len(body) > 100
    assert all(torch.equal(tensor, given[1][name]) for name, tensor in body.items())
    assert [epoch.epoch for epoch in fitted.history] == [1, 2, 3, 4, 5]
    assert fitted.history[-1].train_loss < 0.1, "by chance it is log 3"
    assert fitted.source == "weights folder (resnet18.safetensors)"


def test_quick_answers_as_the_classifier_that_it_learnt(train: Train, folder: Path) -> None:
    fitted = train("quick", "answers", epochs=20)
    model = build("resnet18", 3, fitted.head).eval()
    model.load_state_dict(fitted.weights)
    run = load(folder / "answers")
    held_out = [run.images[index] for index in run.of_split("valid")]
    pixels = preprocess_of("resnet18", 32).to_array([picture.open(DecodeLimits(), 32) for picture in held_out])
    with torch.inference_mode():
        answers = model(torch.from_numpy(pixels)).argmax(dim=1).tolist()
    right = [run.label_names[answer] == picture.label for answer, picture in zip(answers, held_out, strict=True)]
    assert sum(right) / len(right) == pytest.approx(fitted.history[-1].accuracy)
    assert fitted.history[-1].accuracy > 0.9


def test_quick_has_no_chance_in_it(train: Train) -> None:
    first, again = (train("quick", f"{seed}", epochs=2, seed=seed) for seed in (5, 6))
    assert_same(again, first)


def test_what_quick_looked_at_can_be_searched(
    make_run: MakeRun, given: tuple[Path, dict[str, Tensor]], tmp_path: Path, events: Events
) -> None:
    recipe = RECIPE | {"preset": "quick", "pretrained": True}
    folder = make_run(recipe=recipe, weights_dir=str(given[0]), features=str(tmp_path / "features.db"))
    task = prepare(load(folder), folder, events, Control())
    assert task.embedder is not None
    key = weights_key(task.run.recipe.backbone, task.run.recipe.image_size, given[0])
    assert key is not None
    assert find_space(tmp_path / "features.db", key) == task.embedder.engine.space


def test_quick_ends_after_the_epoch_in_which_it_is_told_to(
    make_run: MakeRun, given: tuple[Path, dict[str, Tensor]], tmp_path: Path
) -> None:
    control = Control()

    class Telling(Events):
        def send(self, event: Event) -> None:
            if isinstance(event, Epoch) and event.epoch == 2:
                control.obey("finish")

    folder = make_run(recipe={"preset": "quick", "pretrained": True, "epochs": 9}, weights_dir=str(given[0]))
    fitted = phases.trainer("quick")(prepare(load(folder), folder, Telling(2), control))
    assert (fitted.epoch, len(fitted.history)) == (2, 2)


def test_a_seed_gives_the_same_model_and_another_seed_another(train: Train) -> None:
    first, again, other = (
        train("standard", name, epochs=1, seed=seed, learning_rate=1e-3)
        for name, seed in [("first", 5), ("again", 5), ("other", 6)]
    )
    assert_same(again, first)
    assert not torch.allclose(other.weights["head.8.weight"], first.weights["head.8.weight"])


@pytest.mark.parametrize("done", [1, 2])
def test_a_resumed_training_equals_the_undisturbed_one(
    train: Train, thorough: Fitted, checkpoint: Callable[[str, int], Path], done: int
) -> None:
    """Between two stages, and within one; `test_job.py` resumes the preset `standard`."""
    resumed = train("thorough", f"resumed-{done}", checkpoint("thorough", done), epochs=3, learning_rate=1e-3)
    assert resumed.history[:done] == thorough.history[:done], "taken over, not done again"
    assert_same(resumed, thorough)


def test_thorough_learns_the_head_first_and_then_all_layers(
    thorough: Fitted, checkpoint: Callable[[str, int], Path], given: tuple[Path, dict[str, Tensor]]
) -> None:
    states = [
        recipes.load_fastai_state(torch.load(checkpoint("thorough", epoch), weights_only=True)["model"])
        for epoch in (1, 2, 3)
    ]
    first, second, _ = states
    assert all(torch.equal(first[name], given[1][name]) for name in convolutions(given[1]))
    assert not any(torch.equal(second[name], given[1][name]) for name in convolutions(given[1]))
    early, late = ((second[name] - first[name]).abs().mean() for name in ("conv1.weight", "head.8.weight"))
    assert early < late, "the first layers learn the slowest"
    best = min(thorough.history, key=lambda epoch: epoch.valid_loss).epoch
    assert thorough.epoch == best
    assert all(torch.equal(thorough.weights[name], tensor) for name, tensor in states[best - 1].items())


def test_thorough_without_pretrained_weights_trains_all_layers_from_the_start(
    train: Train, checkpoint: Callable[[str, int], Path]
) -> None:
    train("thorough", "random", epochs=2, learning_rate=1e-3, pretrained=False)
    first, second = (torch.load(checkpoint("random", epoch), weights_only=True)["model"] for epoch in (1, 2))
    assert not torch.equal(first["0.0.weight"], second["0.0.weight"])


def test_thorough_searches_its_learning_rate_and_says_so(searched: Fitted, folder: Path) -> None:
    assert RATES[0] <= searched.learning_rate <= RATES[1]
    assert f"learning rate {searched.learning_rate:.2g}" in (folder / "events").read_text()


def test_a_resumed_search_keeps_its_learning_rate(
    train: Train, searched: Fitted, checkpoint: Callable[[str, int], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> float:
        raise AssertionError("searched again")

    monkeypatch.setattr(recipes, "search", never)
    resumed = train("thorough", "resumed-search", checkpoint("searched", 1), epochs=2)
    assert resumed.learning_rate == searched.learning_rate
    assert_same(resumed, searched)


def test_a_search_gives_signs_of_life_and_can_be_cancelled(
    make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes long on a slow machine, and a worker ends what is silent for long."""
    monkeypatch.setattr(training_events, "ALIVE_SECONDS", 0)
    control, events = Control(), Events(os.open(tmp_path / "events", os.O_CREAT | os.O_WRONLY))
    alive = events.alive

    def cancel_at_the_second() -> None:
        alive()
        if (tmp_path / "events").read_text().count('"alive"') == 2:
            control.obey("cancel")

    monkeypatch.setattr(events, "alive", cancel_at_the_second)
    folder = make_run("run", recipe={"preset": "thorough"})
    with pytest.raises(Cancelled):
        recipes.thorough(prepare(load(folder), folder, events, control))
    assert (tmp_path / "events").read_text().count('"alive"') == 2
    assert not (folder / "checkpoints").exists()


def test_a_search_changes_nothing_but_the_rate(train: Train, searched: Fitted) -> None:
    assert_same(searched, train("thorough", "told", epochs=2, learning_rate=searched.learning_rate))


@pytest.mark.parametrize("preset", ["quick", "standard"])
def test_class_weights_reach_every_preset(train: Train, pictures: list[dict[str, Any]], preset: str) -> None:
    uneven = [picture for picture in pictures if picture["label"] != "green" or picture["name"] > "green-5"]
    plain, weighed = (
        train(preset, f"{preset}-{wish}", images=uneven, epochs=1, class_weights=wish).history[0]
        for wish in ("none", "balanced")
    )
    assert weighed.train_loss != pytest.approx(plain.train_loss, rel=1e-4, abs=0)
