"""What the store has and what rows know of it: garbage goes, if it is old; damage is named."""

import json
from collections import deque

import pytest

from db import blobs
from db.__main__ import main
from db.models import Blob
from db.reconciliation import reconcile
from db.session import Database
from db.upgrade import upgrade
from tsukiji.kernel.settings import DataSettings, Settings
from tsukiji.kernel.storage import open_store
from tsukiji.kernel.storage.memory import MemoryStore


class FeatureCache:
    """A store and a database, and a clock for what was put."""

    def __init__(self, database, store):
        self.database, self.store = database, store

    def put(self, *contents, hours=30, row=True):
        found = [self.store.put(content) for content in contents]
        for blob in found:
            self.store.put_at[blob.sha256] -= 3600 * hours
        if row:
            with self.database.transaction() as session:
                blobs.keep(session, [(blob.sha256, blob.size) for blob in found])
        return [blob.sha256 for blob in found]

    def reconcile(self, hours=24, **wishes):
        (found,) = deque(reconcile(self.database, self.store, hours, **wishes), maxlen=1)
        return found


@pytest.fixture
def kept(database):
    return FeatureCache(database, MemoryStore())


def numbered(count, start=0):
    return [str(number).encode() for number in range(start, start + count)]


def test_bytes_without_a_row_go_when_they_are_old(kept):
    known = kept.put(b"a", b"b")
    old = kept.put(b"c", row=False)
    young = kept.put(b"d", hours=23, row=False)
    found = kept.reconcile()
    assert (found.known, found.bytes, found.unknown, found.discarded, found.young) == (2, 2, 1, 1, 1)
    assert found.good
    assert set(kept.store.blobs) == {*known, *young}
    assert old[0] not in kept.store.blobs


def test_what_a_request_may_be_about_to_refer_to_is_left_whatever_is_asked(kept):
    kept.put(b"a")
    (young,) = kept.put(b"b", hours=0.9, row=False)
    assert kept.reconcile(hours=0).young == 1
    assert young in kept.store.blobs


@pytest.mark.parametrize("act", ["put", "row"])
def test_what_is_taken_up_between_the_listing_and_the_deletion_stays(kept, act):
    kept.put(b"a")
    (sha256,) = kept.put(b"b", row=False)
    steps = reconcile(kept.database, kept.store, 24)
    assert next(steps).unknown == 1
    if act == "put":
        kept.store.put(b"b")
    else:
        with kept.database.transaction() as session:
            blobs.keep(session, [(sha256, 1)])
    assert deque(steps, maxlen=1)[0].discarded == 0
    assert sha256 in kept.store.blobs


def test_what_is_missing_or_altered_is_named(kept):
    gone, cut, rotten, good = kept.put(b"gone", b"cut short", b"rotten", b"good")
    kept.store.delete(gone)
    kept.store.blobs[cut] = b"cut"
    kept.store.blobs[rotten] = b"rottem"
    found = kept.reconcile()
    assert (found.missing, found.altered, found.good) == ([gone], [cut], False)
    read = kept.reconcile(read=True)
    assert (read.missing, set(read.altered)) == ([gone], {cut, rotten})
    assert good in kept.store.blobs


def test_many_are_held_against_each_other_page_by_page(kept):
    known = kept.put(*numbered(1200))
    unknown = kept.put(*numbered(700, 5000), row=False)
    gone = sorted(known)[:600]
    for sha256 in gone:
        kept.store.delete(sha256)
    found = kept.reconcile()
    assert (found.known, found.unknown, found.discarded) == (600, 700, 700)
    assert sorted(found.missing) == gone
    assert not set(unknown) & kept.store.blobs.keys()


def test_a_database_that_knows_nothing_is_taken_for_the_wrong_one(kept):
    kept.put(b"a", row=False)
    found = kept.reconcile()
    assert (found.discarded, found.good) == (0, False)
    assert "right one" in found.refused
    assert kept.reconcile(trusting=True).discarded == 1
    assert kept.store.blobs == {}


def test_most_of_a_large_store_is_not_deleted_unasked(kept):
    kept.put(*numbered(10))
    kept.put(*numbered(1001, 5000), row=False)
    assert kept.reconcile().discarded == 0
    assert kept.reconcile(trusting=True).discarded == 1001


def test_an_empty_store_is_in_order(kept):
    assert kept.reconcile().good


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.setenv("TSUKIJI_DATA_DIR", str(tmp_path))
    settings = Settings(data=DataSettings(dir=tmp_path))
    upgrade(settings)
    database = Database(settings)
    yield database, open_store(settings)
    database.close()


def test_the_command_says_what_it_found(here, capsys):
    database, store = here
    blob, other = store.put(b"tuna"), store.put(b"eel")
    with database.transaction() as session:
        blobs.keep(session, [(blob.sha256, blob.size), (other.sha256, other.size)])
    assert main(["verify"]) == 0
    assert "2 blobs that the database knows" in capsys.readouterr().out
    store.delete(other.sha256)
    with pytest.raises(SystemExit) as ended:
        main(["verify", "--json", "--dry-run"])
    assert ended.value.code == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["known"], told["missing"]) == (1, [other.sha256])
    with database.reading() as session:
        assert session.get(Blob, other.sha256) is not None, "a row whose bytes are gone is for a person to decide on"


def test_where_there_is_no_database_none_is_made(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TSUKIJI_DATA_DIR", str(tmp_path / "other"))
    assert main(["verify"]) == 4
    assert "no database" in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.db"))
