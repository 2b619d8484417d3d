"""Hostile archives, tables and manifests, each refused or survived as its table says, in bounded memory and time."""

import time
import tracemalloc

import pytest

from tests.tsukiji.ingest.archives.zipped import LIMITS
from tests.tsukiji.ingest.hostile_tables import MANIFESTS, TABLES
from tests.tsukiji.ingest.hostile_tars import TARS
from tests.tsukiji.ingest.hostile_zips import ZIPS
from tsukiji import errors
from tsukiji.ingest.archives import entries
from tsukiji.ingest.importers import Table, lay_out
from tsukiji.ingest.manifests import read_lines
from tsukiji.types import ImportOptions

SECONDS = 5
MEMORY = 32 * 2**20


@pytest.fixture(autouse=True)
def time_is_bounded():
    began = time.thread_time()
    yield
    assert time.thread_time() - began < SECONDS


@pytest.fixture
def _memory_is_bounded():
    tracemalloc.start()
    yield
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < MEMORY


def verdicts(path):
    """Return name, and bytes or error's code, of each entry; or the code for the whole."""
    found = []
    try:
        for entry in entries(path, LIMITS):
            try:
                found.append((entry.name, entry.read()))
            except errors.ArchiveError as error:
                found.append((entry.name, error.code))
    except errors.ArchiveError as error:
        return error.code
    return found


@pytest.mark.usefixtures("_memory_is_bounded")
@pytest.mark.parametrize(("data", "wanted"), (ZIPS | TARS).values(), ids=ZIPS | TARS)
def test_hostile_archives(tmp_path, data, wanted):
    path = tmp_path / "pictures"
    path.write_bytes(data)
    assert verdicts(path) == wanted


def label_of(placement):
    return placement.error.code if placement.error else placement.label


@pytest.mark.parametrize(("name", "data", "labels", "faults"), TABLES.values(), ids=TABLES)
def test_hostile_tables(name, data, labels, faults):
    files = ["images/1.jpg", "images/2.jpg"]
    if labels == "table_invalid":
        with pytest.raises(errors.TableInvalid):
            lay_out([*files, name], [Table(name, data)], ImportOptions(), max_items=2000)
        return
    found = lay_out([*files, name], [Table(name, data)], ImportOptions(), max_items=2000)
    assert tuple(label_of(found.place(file)) for file in files) == labels
    assert [error.code for _, error in found.faults] == faults


@pytest.mark.usefixtures("_memory_is_bounded")
@pytest.mark.parametrize(("data", "images", "faults"), MANIFESTS.values(), ids=MANIFESTS)
def test_hostile_manifests(data, images, faults):
    lines = list(read_lines(data[at : at + 65_536] for at in range(0, len(data), 65_536)))
    assert [line.request.image for line in lines if line.request] == images
    assert [line.error.code for line in lines if line.error] == faults


def test_there_are_enough():
    assert len(ZIPS) + len(TARS) + len(TABLES) + len(MANIFESTS) >= 200
