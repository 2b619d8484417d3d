import subprocess
import sys

import pytest

from tsukiji.errors import Invalid
from tsukiji.kernel.settings import DataSettings, Settings, StorageSettings
from tsukiji.kernel.storage import open_store


def test_the_data_folder_is_the_default(tmp_path):
    store = open_store(Settings(data=DataSettings(dir=tmp_path)))
    assert store.local_path(store.put(b"tuna").sha256).is_relative_to(tmp_path / "blobs")


@pytest.mark.parametrize("url", ["ftp://host/folder", "s3://", "file://", "blobs"])
def test_an_unknown_url_says_what_is_taken(url):
    with pytest.raises(Invalid) as caught:
        open_store(Settings(storage=StorageSettings(url=url)))
    assert "s3://bucket/prefix" in caught.value.hint


def test_s3_without_its_library_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "boto3", None)
    monkeypatch.delitem(sys.modules, "tsukiji.kernel.storage.s3", raising=False)
    with pytest.raises(Invalid) as caught:
        open_store(Settings(storage=StorageSettings(url="s3://bucket")))
    assert ".[s3]" in caught.value.hint


def test_a_local_store_never_loads_boto3(tmp_path):
    program = (
        "import sys; from tsukiji.kernel.settings import *; from tsukiji.kernel.storage import open_store;"
        "open_store(Settings(data=DataSettings(dir=sys.argv[1]))); assert 'boto3' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True)
