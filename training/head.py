"""fastai's learner on embeddings: the head alone learns, of rows that are in memory. Knows no pictures."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from fastai.callback.progress import ProgressCallback
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from fastai.learner import Learner
from fastai.metrics import accuracy
from numpy.typing import NDArray

from training.data import use_device
from training.run import Run
from tsukiji.vision.model import POOLING, Classifier


class Rows(DataLoader):
    """Batches cut out of one tensor (V, N, E) at once; each row is one of its V views, drawn anew each time."""

    def __init__(self, views: torch.Tensor, classes: torch.Tensor, **options: Any) -> None:
        self._views, self._classes = views, classes
        super().__init__(range(len(classes)), num_workers=0, device=views.device, **options)

    def create_batches(self, samps: Iterator[int]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Called by fastai with the numbers of the rows in the order in which they are wanted."""
        for chunk in self.chunkify(samps):
            numbers = torch.tensor(list(chunk), device=self._views.device)
            drawn = torch.randint(len(self._views), (len(numbers),), device=self._views.device)
            yield self._views[drawn, numbers], self._classes[numbers]


def learner_on(
    model: Classifier, run: Run, learnt: NDArray[np.float32], held_out: NDArray[np.float32], device: torch.device
) -> Learner:
    """Return a learner whose model is the model's head without its pooling.

    Args:
        model: its head is trained in place.
        run: says which class each row is of.
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
    learner = Learner(loaders, head, loss_func=torch.nn.CrossEntropyLoss(), metrics=accuracy)
    learner.remove_cbs(ProgressCallback)
    return learner


def _rows(
    model: Classifier, run: Run, indices: Sequence[int], views: NDArray[np.float32], device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    names = run.label_names
    classes = torch.tensor([names.index(run.images[index].label) for index in indices])
    return torch.from_numpy(views[:, :, model.num_middle :]).to(device), classes.to(device)
