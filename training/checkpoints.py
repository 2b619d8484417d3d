"""Checkpoints: state to resume a training after its process died. Tensors and plain values, no pickled code."""

import pickle
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import torch
from fastai.learner import Learner

from training.run import Run, draft_of
from training.training_state import TrainingState
from tsukiji.errors import BlobCorrupt
from tsukiji.types import EpochMetrics

KEPT: Final = 2
UNREADABLE: Final = (OSError, EOFError, RuntimeError, KeyError, TypeError, ValueError, pickle.UnpicklingError)
"""What `torch.load` raises on a missing, truncated or foreign file."""


def fingerprint_of(run: Run) -> str:
    """Return a fingerprint of everything that two attempts must share for one to resume the other."""
    return sha256(f"{run.snapshot_sha256}\n{run.recipe.model_dump_json()}\n{run.label_names}".encode()).hexdigest()


def path_of(folder: Path, epoch: int) -> Path:
    """Return the path of the checkpoint after `epoch` epochs."""
    return folder / f"epoch-{epoch:04}.pt"


def save(path: Path, learner: Learner, training_state: TrainingState, fingerprint: str) -> None:
    """Write the state after an epoch, atomically.

    Includes the best epoch's weights if that was an earlier one: a resumed attempt may have to return them.
    """
    smooth, scaler = learner.recorder.smooth_loss, getattr(learner, "scaler", None)
    optimizer = learner.opt.state_dict()
    hypers = [{name: float(value) for name, value in group.items()} for group in optimizer["hypers"]]
    state = {
        "fingerprint": fingerprint,
        "history": [metrics.model_dump() for metrics in training_state.history],
        "learning_rate": training_state.learning_rate,
        "model": learner.model.state_dict(),
        "best": training_state.best
        if training_state.best and training_state.best[0] != len(training_state.history)
        else None,
        "optimizer": {"state": list(optimizer["state"]), "hypers": hypers},
        "smooth_loss": {"count": smooth.count, "val": float(smooth.val)},
        "scaler": scaler.state_dict() if scaler else {},
    }
    with draft_of(path) as draft:
        torch.save(state, draft)


def load(path: Path, fingerprint: str, device: torch.device) -> dict[str, Any]:
    """Read a checkpoint.

    Raises:
        BlobCorrupt: the file is missing or damaged, or belongs to another run or version.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
        fits = state["fingerprint"] == fingerprint
    except UNREADABLE as error:
        raise BlobCorrupt(f"The checkpoint {path.name} cannot be read: {error}") from error
    if not fits:
        raise BlobCorrupt(f"The checkpoint {path.name} is of another data set or recipe.")
    return state


def restore(learner: Learner, state: dict[str, Any]) -> None:
    """Restore weights and optimiser; the callback restores the rest, after fastai has reset its recorder."""
    learner.model.load_state_dict(state["model"])
    if learner.opt is None:
        learner.create_opt()
    learner.opt.load_state_dict(state["optimizer"])


def prune(folder: Path, newest: int) -> None:
    """Keep the newest two: a reader notified of one may open it after the next was written."""
    kept = sorted(folder.glob("epoch-*.pt"))
    for path in [path for path in kept if path <= path_of(folder, newest)][:-KEPT]:
        path.unlink()


def ranked(history: Iterable[EpochMetrics]) -> list[EpochMetrics]:
    """Best first: lowest loss on the held-out images."""
    return sorted(history, key=lambda metrics: metrics.valid_loss)
