"""fastai's learner on embeddings: the head alone learns, of rows that are in memory. Knows no pictures."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from fastai.callback.progress import ProgressCallback
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from fastai.learner import Learner
from numpy.typing import NDArray

from training.data import use_device
from training.learner import metrics_of
from training.run import Run
from training.targets import classes_of, sets_of
from tsukiji.vision.model import POOLING, Classifier


class Rows(DataLoader):
    """Batches cut out of one tensor (V, N, E) at once; each row is one of its V views, drawn anew each time.

    Targets are classes (N,), or sets of labels (N, C).
    """

    def __init__(self, views: torch.Tensor, targets: torch.Tensor, **options: Any) -> None:
        self._views, self._targets = views, targets
        super().__init__(range(len(targets)), num_workers=0, device=views.device, **options)

    def create_batches(self, samps: Iterator[int]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Called by fastai with the numbers of the rows in the order in which they are wanted."""
        for chunk in self.chunkify(samps):
            numbers = torch.tensor(list(chunk), device=self._views.device)
            drawn = torch.randint(len(self._views), (len(numbers),), device=self._views.device)
            yield self._views[drawn, numbers], self._targets[numbers]


def learner_on(
    model: Classifier, run: Run, learnt: NDArray[np.float32], held_out: NDArray[np.float32], device: torch.device
) -> Learner:
    """Return a learner whose model is the model's head without its pooling.

    Args:
        model: its head is trained in place.
        run: says which class each row is of, or which labels it has.
        learnt: embeddings of the views of the train images, (V, N, E), in the run's order.
        held_out: those of the valid images, (1, M, E).
        device: where to compute.
    """
    use_device(device)
    train, valid = run.of_split("train"), run.of_split("valid")
    size = min(run.recipe.batch_size, len(train))
    loaders = DataLoaders(
        Rows(*_rows(model, run, train, learnt, device), bs=size, shuffle=True, drop_last=True),
        Rows(*_rows(model, run, valid, held_out, device), bs=max(size, 512)),
        device=device,
    )
    head = model.head[POOLING:].to(device)
    learner = Learner(loaders, head, loss_func=torch.nn.CrossEntropyLoss(), metrics=metrics_of(run.kind))
    learner.remove_cbs(ProgressCallback)
    return learner


def _rows(
    model: Classifier, run: Run, indices: Sequence[int], views: NDArray[np.float32], device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    several = run.kind == "multi_label"
    targets = torch.from_numpy(sets_of(run, indices)).float() if several else torch.from_numpy(classes_of(run, indices))
    return torch.from_numpy(views[:, :, model.num_middle :]).to(device), targets.to(device)
