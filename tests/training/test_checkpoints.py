from pathlib import Path

import pytest
import torch

from training import checkpoints
from tsukiji.errors import BlobCorrupt
from tsukiji.types import EpochMetrics

CPU = torch.device("cpu")


def epoch(number: int, valid_loss: float) -> EpochMetrics:
    return EpochMetrics(epoch=number, train_loss=1, valid_loss=valid_loss, accuracy=0.5, seconds=1)


def test_newest_two_and_the_best_are_kept(tmp_path: Path) -> None:
    history = [epoch(1, 0.9), epoch(2, 0.1), epoch(3, 0.5), epoch(4, 0.4), epoch(5, 0.3)]
    for metrics in history:
        checkpoints.path_of(tmp_path, metrics.epoch).touch()
    checkpoints.prune(tmp_path, history)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epoch-0002.pt", "epoch-0004.pt", "epoch-0005.pt"]


@pytest.mark.parametrize("data", [None, b"", b"no checkpoint at all", b"PK\x03\x04 cut short"])
def test_file_that_is_missing_or_damaged_says_so(tmp_path: Path, data: bytes | None) -> None:
    path = tmp_path / "epoch-0001.pt"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(BlobCorrupt, match=r"epoch-0001\.pt"):
        checkpoints.load(path, "mine", CPU)


def test_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    torch.save({"fingerprint": "theirs"}, tmp_path / "epoch-0001.pt")
    with pytest.raises(BlobCorrupt, match="another data set"):
        checkpoints.load(tmp_path / "epoch-0001.pt", "mine", CPU)


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    torch.save({"fingerprint": "mine", "model": print}, tmp_path / "epoch-0001.pt")
    with pytest.raises(BlobCorrupt):
        checkpoints.load(tmp_path / "epoch-0001.pt", "mine", CPU)
