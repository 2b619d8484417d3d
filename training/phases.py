"""The parts of a training that are imported when their time comes, and not before: the one place where that is done.

fastai takes 2 s of processor time to import, torchvision and scikit-learn 1.5 s each. The preset `quick` needs neither
of the first two, and nothing needs scikit-learn before there is something to measure.
"""
# ruff: noqa: PLC0415 - each phase imports its libraries when it begins, so that a training starts in less time

from collections.abc import Callable
from typing import TYPE_CHECKING

from tsukiji.types import Preset

if TYPE_CHECKING:
    from training.run import Report
    from training.task import Task
    from training.training_state import Fitted


def trainer(preset: Preset) -> "Callable[[Task], Fitted]":
    """Return what trains by this preset."""
    if preset == "quick":
        from training.quick import quick

        return quick
    from training.recipes import standard, thorough

    return {"standard": standard, "thorough": thorough}[preset]


def conclusion() -> "Callable[[Task, Fitted, float], Report]":
    """Return what packs and measures a trained network."""
    from training.conclusion import conclude

    return conclude
