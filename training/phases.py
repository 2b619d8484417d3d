"""Late imports of the phases of a training, all in one place.

fastai takes 2 s of processor time to import, torchvision and scikit-learn 1.5 s each. The preset `quick` needs neither
of the first two, and scikit-learn is needed only for metrics.
"""
# ruff: noqa: PLC0415 - each phase imports its libraries when it begins, so that a training starts faster

from collections.abc import Callable
from typing import TYPE_CHECKING

from tsukiji.types import Preset

if TYPE_CHECKING:
    from training.run import Report
    from training.task import Task
    from training.training_state import Fitted


def trainer(preset: Preset) -> "Callable[[Task], Fitted]":
    """Return the function that trains with this preset."""
    if preset == "quick":
        from training.quick import quick

        return quick
    from training.recipes import standard, thorough

    return {"standard": standard, "thorough": thorough}[preset]


def conclusion() -> "Callable[[Task, Fitted, float], Report]":
    """Return the function that packages and evaluates a trained network."""
    from training.conclusion import conclude

    return conclude
