from types import SimpleNamespace

import pytest
import torch
from fastai.callback.core import CancelFitException

from training.callbacks import CheckBatches, HandleCommands
from training.control import Control
from training.training_state import TrainingState
from tsukiji.errors import NanLoss, TrainingCrashed


def obey(control: Control, *, loss: float = 0.5, training: bool = True) -> HandleCommands:
    callback = HandleCommands(control, TrainingState(10))
    callback.learn = SimpleNamespace(loss=torch.tensor(loss), training=training, epoch=2)
    return callback


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_loss_that_is_no_number_fails_with_the_epoch(loss: float) -> None:
    with pytest.raises(NanLoss, match="epoch 3"):
        obey(Control(), loss=loss)("after_batch")


def test_finish_lets_a_measurement_end() -> None:
    control = Control()
    control.obey("finish")
    obey(control, training=False)("after_batch")
    with pytest.raises(CancelFitException):
        obey(control, training=True)("after_batch")


def test_cancel_does_not() -> None:
    control = Control()
    control.obey("cancel")
    with pytest.raises(CancelFitException):
        obey(control, training=False)("after_batch")


def test_a_batch_that_did_not_arrive_fails_the_training() -> None:
    count = CheckBatches()
    count.learn = SimpleNamespace(n_iter=2, epoch=0, train_iter=0, pct_train=0, training=True)
    count("before_train")
    count("after_batch")
    with pytest.raises(TrainingCrashed, match="1 of 2 batches"):
        count("after_train")
