from pathlib import Path

import pytest
import torch

from training import checkpoints
from tsukiji.errors import BlobCorrupt

CPU = torch.device("cpu")


def test_the_newest_two_are_kept_and_what_another_attempt_left_of_later_ones(tmp_path: Path) -> None:
    for epoch in (1, 2, 4, 5, 9):
        checkpoints.path_of(tmp_path, epoch).touch()
    checkpoints.prune(tmp_path, 5)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epoch-0004.pt", "epoch-0005.pt", "epoch-0009.pt"]


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
