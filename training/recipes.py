"""The presets that train with fastai. The epochs themselves are run by `training/fit.py`."""

from typing import Any, Final

from fastai.callback import schedule  # noqa: F401 — adds `lr_find` to Learner
from fastai.callback.channelslast import ChannelsLast
from fastai.callback.schedule import valley
from fastai.learner import Learner
from fastai.torch_core import set_seed

from training.callbacks import CancelSearch
from training.data import load_data
from training.events import Log, Phase
from training.fit import Fit, Stage
from training.learner import build_learner
from training.task import Task, rate_of
from training.training_state import Fitted
from tsukiji.vision.model import load_fastai_state

SEARCH_BATCHES: Final = 40
RATES: Final = (1e-3, 4e-3)
"""Bounds of the suggested rate, around `fine_tune`'s default of 0.002: with few images the curve is rough, and a
suggestion of a tenth of that learnt little in ten epochs."""
DIVIDE: Final = 100
"""Learning rate of the head divided by that of the first layers, as in fastai's `fine_tune`."""


def fit_of(task: Task, **options: Any) -> Fit:
    return Fit(task.run, task.folder, task.device, task.events, task.control, **options)


def standard(task: Task) -> Fitted:
    """The fastai tutorial's recipe: frozen body, new head, one cycle."""
    fit, learner = fit_of(task), learner_of(task)
    weights, epoch = fit.train(learner, [Stage(task.run.recipe.epochs, rate_of(task.run))])
    return Fitted(load_fastai_state(weights), fit.training_state.history, epoch, task.source, rate_of(task.run))


def thorough(task: Task) -> Fitted:
    """Do what fastai's `fine_tune` does: an epoch with a frozen body, then all layers, the first at 1/100 of the rate.

    The rate is suggested by `lr_find` ("valley"), unless the recipe sets it. The best epoch is kept; the training stops
    early when half of all epochs in a row brought no improvement, since in a cycle the last epochs are the best.
    """
    recipe = task.run.recipe
    fit = fit_of(task, keep_best=True, patience=max(3, recipe.epochs // 2))
    learner = learner_of(task)
    rate = recipe.learning_rate or fit.training_state.learning_rate or search(learner, task)
    fit.training_state.learning_rate = rate
    frozen = [Stage(1, slice(rate), options={"pct_start": 0.99})] if task.body and recipe.epochs > 1 else []
    rest = recipe.epochs - len(frozen)
    whole = Stage(rest, slice(rate / 2 / DIVIDE, rate / 2), unfrozen=True, options={"pct_start": 0.3, "div": 5.0})
    weights, epoch = fit.train(learner, [*frozen, whole])
    return Fitted(load_fastai_state(weights), fit.training_state.history, epoch, task.source, rate)


def learner_of(task: Task) -> Learner:
    set_seed(task.run.recipe.seed, reproducible=True)
    loaders = load_data(task.run, task.preprocess, task.device)
    learner = build_learner(task.run.recipe, loaders, task.body, task.run.kind)
    if task.device.type != "mps":
        learner.add_cb(ChannelsLast())
    return learner


def search(learner: Learner, task: Task) -> float:
    """Return the learning rate suggested by fastai's range test; restores the learner afterwards.

    Raises:
        Cancelled
    """
    task.control.check()
    task.events.send(Phase(name="searching the learning rate"))
    learner.path, learner.model_dir = task.folder, "search"
    with learner.no_bar(), learner.no_logging(), learner.added_cbs(CancelSearch(task.control, task.events)):
        try:
            found = learner.lr_find(num_it=SEARCH_BATCHES, suggest_funcs=(valley,), show_plot=False)
        finally:
            task.control.check()  # a search that was cut short suggests nothing
    low, high = RATES
    rate = min(high, max(low, float(found.valley)))
    task.events.send(Log(message=f"learning rate {rate:.2g}, by a range test of {SEARCH_BATCHES} batches"))
    return rate
