import errno

import pytest
import torch

from training.program import named
from tsukiji.errors import ImageTruncated, NanLoss

FROM_A_WORKER = """Caught ImageTruncated in DataLoader worker process 0.
Original Traceback (most recent call last):
  File "x.py", line 1, in <module>
tsukiji.errors.ImageTruncated: tuna.jpg: cut short
"""


@pytest.mark.parametrize(
    ("error", "code", "detail"),
    [
        (NanLoss("gone"), "nan_loss", "gone"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried"), "gpu_out_of_memory", "CUDA out of memory."),
        (RuntimeError("MPS backend out of memory"), "gpu_out_of_memory", "MPS backend out of memory."),
        (OSError(errno.ENOSPC, "No space left"), "storage_full", "[Errno 28] No space left"),
        (ImageTruncated("eel.png: cut short"), "truncated", "eel.png: cut short"),
        (ImageTruncated(FROM_A_WORKER), "truncated", "tuna.jpg: cut short"),
        (ZeroDivisionError("oh"), "internal", "ZeroDivisionError: oh"),
    ],
)
def test_every_failure_has_a_code(error: Exception, code: str, detail: str) -> None:
    said = named(error).to_dict()
    assert (said["code"], said["detail"]) == (code, detail)
