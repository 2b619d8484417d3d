"""`python -m training RUN_DIR`: one training, from `run.json` to `package/` and `report.json`."""

import os
import sys
import tempfile
from typing import Final

from training import program
from training.job import train

TEMPORARY_PATH: Final = 107 - len("/pymp-12345678/listener-12345678")
"""Bytes that the path of the temporary folder may have, so that Linux takes a socket in it."""

if __name__ == "__main__":
    if len(os.fsencode(tempfile.gettempdir())) > TEMPORARY_PATH:
        # Decoding processes hand pictures over by a socket there, and where it cannot be made they lose them silently.
        tempfile.tempdir = "/tmp"  # noqa: S108 — names in it are drawn by `mkdtemp`
    sys.exit(program.run(train))
