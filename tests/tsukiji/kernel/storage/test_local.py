import errno
import os
import stat
import time

import pytest

from tsukiji.errors import StorageFull, StorageUnavailable
from tsukiji.kernel.storage import disk
from tsukiji.kernel.storage.local import LocalStore


@pytest.fixture
def root(tmp_path):
    return tmp_path / "blobs"


def files_under(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.fixture
def full_disk(monkeypatch):
    """From here on, syncing finds no room: where a file system with delayed allocation says so."""

    def refuse(_handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(disk.os, "fsync", refuse)


def test_the_same_bytes_are_kept_once(root):
    store = LocalStore(root)
    first, second = store.put(b"tuna"), store.put(b"tuna")
    assert first == second
    assert files_under(root) == [store.local_path(first.sha256)]


def test_workers_read_a_blob_in_place(root):
    store = LocalStore(root)
    blob = store.put(b"tuna")
    path = store.local_path(blob.sha256)
    assert path == root / blob.sha256[:2] / blob.sha256[2:4] / blob.sha256
    assert path.read_bytes() == b"tuna"
    store.delete(blob.sha256)
    assert store.local_path(blob.sha256) is None


def test_another_user_of_a_shared_folder_may_read(root):
    store = LocalStore(root)
    umask = os.umask(0o022)
    try:
        path = store.local_path(store.put(b"tuna").sha256)
    finally:
        os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_full_disk_is_named_and_leaves_nothing(root, full_disk):
    store = LocalStore(root)
    with pytest.raises(StorageFull):
        store.put(b"tuna")
    assert files_under(root) == []


def test_a_disk_that_fills_up_while_writing_leaves_nothing(root):
    """A limit on the size of files is the nearest thing to a full disk that needs no rights."""
    resource = pytest.importorskip("resource", reason="no limits on file sizes here")
    signal = pytest.importorskip("signal")
    store = LocalStore(root)
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(StorageUnavailable, match="too large"):
            store.put(b"x" * 1000 for _ in range(1000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert files_under(root) == []


def test_a_full_disk_fails_the_check(root, full_disk, monkeypatch):
    store = LocalStore(root)
    monkeypatch.setattr(disk.Path, "open", lambda *_: (_ for _ in ()).throw(OSError(errno.EDQUOT, "quota exceeded")))
    with pytest.raises(StorageFull):
        store.check()


def test_a_folder_that_is_gone_fails_the_check(root):
    store = LocalStore(root)
    store.check()
    (root / "tmp").rmdir()
    root.rmdir()
    root.write_text("a file in its place")
    with pytest.raises(StorageUnavailable):
        store.check()


def test_a_root_that_is_away_stops_nobody_from_starting_and_is_told_where_it_is_needed(tmp_path):
    (tmp_path / "file").touch()
    store = LocalStore(tmp_path / "file" / "blobs")
    for act in (lambda: store.put(b"a"), store.check):
        with pytest.raises(StorageUnavailable):
            act()
    (tmp_path / "file").unlink()
    store.check()
    assert store.read(store.put(b"a").sha256) == b"a"


def test_opening_sweeps_the_drafts_of_a_crash_but_not_those_at_work(root):
    (root / "tmp").mkdir(parents=True)
    old, new = root / "tmp" / "old.tmp", root / "tmp" / "new.tmp"
    for path in (old, new):
        path.touch()
    yesterday = time.time() - 25 * 3600
    os.utime(old, (yesterday, yesterday))
    LocalStore(root)
    assert files_under(root) == [new]


# --- groups ----------------------------------------------------------------------------------------------------------

MANY = [b"tuna %d" % number for number in range(9)]


@pytest.fixture
def uncopied(monkeypatch):
    """From here on nothing copies a group: as if the process died right after the answer."""
    monkeypatch.setattr(LocalStore, "_copy_group", lambda *_: None)


def groups_in(root):
    return list((root / "groups").iterdir())


def settled(store):
    """Wait until all groups are copied."""
    store._copier.submit(int).result()
    return store


def test_many_blobs_are_synced_once(root, uncopied, monkeypatch):
    synced = []
    monkeypatch.setattr(disk.os, "fsync", synced.append)
    LocalStore(root).put_many(MANY)
    assert len(synced) == 2, "the file, and the folder with its name"


def test_the_blobs_of_a_group_get_files_of_their_own(root):
    store = LocalStore(root)
    kept = store.put_many(MANY)
    settled(store)
    assert sorted(files_under(root)) == sorted(store.local_path(blob.sha256) for blob in kept)
    assert [one.sha256 for one in store.walk()] == sorted(blob.sha256 for blob in kept)


def test_a_blob_is_read_before_it_is_copied(root, uncopied):
    first, second, third, *_ = LocalStore(root).put_many(MANY)
    other = LocalStore(root)
    assert other.read(first.sha256) == MANY[0]
    assert other.local_path(second.sha256).read_bytes() == MANY[1]
    assert other.exists(third.sha256)
    assert not other.exists("0" * 64)


def test_a_group_left_by_a_power_cut_mends_its_files_at_the_next_start(root, monkeypatch):
    with monkeypatch.context() as cut:
        cut.setattr(LocalStore, "_copy_group", lambda *_: None)
        store = LocalStore(root)
        kept = store.put_many(MANY)
        store.local_path(kept[0].sha256).write_bytes(b"")  # its name was on the disk, its bytes were not
        assert len(groups_in(root)) == 1
    store = LocalStore(root)
    assert groups_in(root) == []
    assert [store.local_path(blob.sha256).read_bytes() for blob in kept] == MANY


def test_a_group_on_a_full_disk_leaves_nothing(root, full_disk):
    store = LocalStore(root)
    for _ in range(20):  # none holds a place among those that wait
        with pytest.raises(StorageFull):
            store.put_many(MANY)
    assert files_under(root) == []
