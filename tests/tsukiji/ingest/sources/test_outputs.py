import pytest

from tsukiji.errors import BlobMissing, OutputNotAllowed
from tsukiji.ingest.outputs import Outputs
from tsukiji.kernel.settings import OutputSettings, Settings, StorageSettings


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "results").mkdir()
    return tmp_path / "results"


@pytest.fixture(params=["folder", "bucket"])
def output(request, folder):
    """A place below an allowed one."""
    url, endpoint = f"file://{folder}", None
    if request.param == "bucket":
        request.getfixturevalue("s3_client").create_bucket(Bucket="theirs")
        url, endpoint = "s3://theirs/results", request.getfixturevalue("s3_endpoint")
    settings = Settings(outputs=OutputSettings(allowed=[url]), storage=StorageSettings(endpoint_url=endpoint))
    return Outputs(settings).open(f"{url}/mine")


def test_files_are_written_whole_read_listed_and_deleted(output):
    assert list(output.names()) == []
    output.write("a.parquet", b"first")
    output.write("a.parquet", b"second")
    output.write("_log/0.json", b"{}")
    assert output.read("a.parquet") == b"second"
    assert list(output.names()) == ["a.parquet"]
    output.delete("a.parquet")
    output.delete("a.parquet")
    with pytest.raises(BlobMissing):
        output.read("a.parquet")


@pytest.mark.parametrize("url", ["file:///elsewhere", "file://{}/../other", "file://{}x", "s3://theirs"])
def test_other_places_are_refused(folder, url):
    outputs = Outputs(Settings(outputs=OutputSettings(allowed=[f"file://{folder}"])))
    with pytest.raises(OutputNotAllowed):
        outputs.open(url.format(folder))


def test_a_link_leads_nowhere_else(folder, tmp_path):
    (folder / "out").symlink_to(tmp_path)
    output = Outputs(Settings(outputs=OutputSettings(allowed=[f"file://{folder}"]))).open(f"file://{folder}/out")
    with pytest.raises(OutputNotAllowed):
        output.write("a.parquet", b"data")
    assert not (tmp_path / "a.parquet").exists()
