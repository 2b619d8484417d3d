import zipfile

import pytest

from tests.tsukiji.ingest.archives.zipped import DEFLATED


@pytest.fixture
def pack(tmp_path):
    """Write a zip of (name or ZipInfo, bytes) pairs."""

    def write(*files, method=DEFLATED):
        path = tmp_path / "pictures.zip"
        with zipfile.ZipFile(path, "w", method) as archive:
            for name, data in files:
                archive.writestr(name, data)
        return path

    return write
