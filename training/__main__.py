"""`python -m training RUN_DIR`: one training, from `run.json` to `package/` and `report.json`."""

import os
import sys
import tempfile
from typing import Final

from training import program
from training.job import train

TEMPORARY_PATH: Final = 107 - len("/pymp-12345678/listener-12345678")
"""Longest path of the temporary folder with which Linux accepts a socket path inside it."""

if __name__ == "__main__":
    if len(os.fsencode(tempfile.gettempdir())) > TEMPORARY_PATH:
        # Decoding processes pass pictures through a socket there; if it cannot be created, pictures are lost silently.
        tempfile.tempdir = "/tmp"  # noqa: S108 — names in it are drawn by `mkdtemp`
    sys.exit(program.run(train))
