"""A backup has all rows of one moment and their blobs; what is half made, or damaged, is never taken for whole."""

import json
from datetime import datetime

import pytest
from sqlalchemy import func, select

from db import backups, blobs, keys
from db.__main__ import main
from db.curation import datasets
from db.curation.datasets import NewImage
from db.jobs import workers
from db.models import Base, Blob, Dataset, Image, Job, Upload, WorkerSeen
from db.upgrade import downgrade, upgrade
from tsukiji.errors import BlobCorrupt, BlobMissing, Invalid, NotFound
from tsukiji.kernel.settings import DataSettings, Settings
from tsukiji.kernel.storage import open_pages, open_store

PICTURES = [f"picture {number}".encode() for number in range(12)]


@pytest.fixture
def service(settings, database):
    """A service with a data set of some pictures, a key, a worker, and an upload under way."""
    store = open_store(settings)
    with database.transaction() as session:
        keys.create(session, "mine")
        dataset = datasets.create(session, "sushi")
        stored = [store.put(picture) for picture in PICTURES]
        blobs.keep(session, [(blob.sha256, blob.size) for blob in stored])
        new = [
            NewImage(f"{n}.jpg", "marugoto", None, blob.sha256, 8, 8, blob.size, "JPEG")
            for n, blob in enumerate(stored)
        ]
        datasets.add_images(session, dataset.id, new)
        workers.report(session, "train@here", "train", "cpu")
    return settings


@pytest.fixture(params=["folder", "s3"])
def place(request, service, tmp_path):
    if request.param == "folder":
        return backups.place_of(service, str(tmp_path / "backup"), None)
    bucket, endpoint = map(request.getfixturevalue, ("s3_bucket", "s3_endpoint"))
    return backups.place_of(service, f"s3://{bucket}/some/prefix", endpoint)


@pytest.fixture
def elsewhere(tmp_path):
    """Settings of a machine on which nothing was done yet."""
    return Settings(data=DataSettings(dir=tmp_path / "elsewhere"))


def make(service, place):
    *_, made = backups.back_up(service, place)
    return made


def rows_of(settings):
    with backups.opened(settings) as database, database.reading() as session:
        tables = (table for table in Base.metadata.tables.values() if table.name != WorkerSeen.__tablename__)
        return {table.name: sorted(map(told, session.execute(select(table)).all())) for table in tables}


def told(row):
    """Describe a row, with its times to the millisecond, as a backup has them."""
    times = (
        value.replace(microsecond=value.microsecond // 1000 * 1000) for value in row if isinstance(value, datetime)
    )
    return repr([next(times) if isinstance(value, datetime) else value for value in row])


def path_of(settings, sha256):
    return open_store(settings).local_path(sha256)


def count(settings, model):
    with backups.opened(settings) as database, database.reading() as session:
        return session.scalar(select(func.count()).select_from(model))


def test_a_service_comes_back_on_another_machine(service, place, elsewhere):
    made = make(service, place)
    assert (made.blobs, made.bytes, made.damaged) == (12, sum(map(len, PICTURES)), [])
    told = dict(backups.restore(place, elsewhere))
    assert (told["blobs"], told["images"]) == (12, 12)
    assert rows_of(elsewhere) == rows_of(service)
    store = open_store(elsewhere)
    with backups.opened(elsewhere) as database, database.reading() as session:
        assert sorted(store.read(one) for one in session.scalars(select(Blob.sha256))) == sorted(PICTURES)
    assert count(elsewhere, WorkerSeen) == 0  # none reported here


def test_what_is_there_already_is_not_copied_again(service, tmp_path, monkeypatch):
    place = backups.place_of(service, str(tmp_path / "backup"), None)
    make(service, place)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "backup").rglob("*") if path.is_file()}
    with backups.opened(service) as database, database.transaction() as session:
        blob = open_store(service).put(b"one more")
        blobs.keep(session, [(blob.sha256, blob.size)])
    assert make(service, place).blobs == 13
    assert (
        before.items()
        <= {path: path.stat().st_mtime_ns for path in (tmp_path / "backup").rglob("*") if path.is_file()}.items()
    )


def test_old_backups_go_with_what_they_alone_have(service, place, elsewhere, monkeypatch):
    """A picture that was deleted in the service is gone from the place, too, when the last backup with it goes."""
    store, kept = open_store(service), open_store(place)
    first = make(service, place)
    with backups.opened(service) as database, database.transaction() as session:
        gone = store.put(PICTURES[0]).sha256
        session.execute(backups.delete(Image).where(Image.sha256 == gone))
        session.execute(backups.delete(Blob).where(Blob.sha256 == gone))
        later = store.put(b"one more")
        blobs.keep(session, [(later.sha256, later.size)])
    make(service, place)
    newest = make(service, place)
    assert backups.prune(place, 2) == 0  # all is young: another backup may be about to name it
    monkeypatch.setattr("tsukiji.kernel.storage.local.hours_since", lambda _: 48)
    monkeypatch.setattr("tsukiji.kernel.storage.s3.hours_since", lambda _: 48)
    assert backups.prune(place, 2) == 2  # the picture, and the rows of the first backup
    assert not kept.exists(gone)
    assert not kept.exists(first.rows)
    assert len(open_pages(kept).names()) == 2
    for name in open_pages(kept).names():
        with backups.rows_of(place, name) as (_, rows):
            (found,) = backups.deque(backups.reconcile(rows, kept, 24, discard=False, read=True), maxlen=1)
            assert (found.known, found.missing, found.altered) == (12, [], [])
    assert dict(backups.restore(place, elsewhere, newest.name))["images"] == 11


def test_rows_that_come_during_a_backup_are_not_in_it(service, database, tmp_path, elsewhere, monkeypatch):
    def copy(reading, writing):
        next(tables := copy_tables(reading, writing))
        with database.transaction() as session:
            datasets.create(session, "too late")
        yield from tables

    copy_tables = backups.copy_tables
    with monkeypatch.context() as patch:
        patch.setattr(backups, "copy_tables", copy)
        place = backups.place_of(service, str(tmp_path / "backup"), None)
        make(service, place)
    list(backups.restore(place, elsewhere))
    assert count(service, Dataset) == 2
    assert count(elsewhere, Dataset) == 1


def test_an_upload_under_way_is_left_out(service, database, tmp_path, elsewhere):
    with database.transaction() as session:
        fields = {"name": "a.zip", "bytes": 9, "part_bytes": 9, "token": "", "expires_at": backups.now(60)}
        session.add(Upload(id="up_1", **fields))
    place = backups.place_of(service, str(tmp_path / "backup"), None)
    make(service, place)
    list(backups.restore(place, elsewhere))
    assert count(elsewhere, Upload) == 0


def test_a_blob_that_was_swept_meanwhile_is_no_damage(service, database, tmp_path):
    with database.transaction() as session:
        blobs.keep(session, [("ab" * 32, 5)])  # no row refers to it, and the store has no such bytes
    made = make(service, backups.place_of(service, str(tmp_path / "backup"), None))
    assert (made.blobs, made.damaged) == (12, [])


def test_a_blob_that_is_missing_or_altered_in_the_service_is_named(service, tmp_path, elsewhere):
    store = open_store(service)
    gone, altered = (store.put(picture).sha256 for picture in PICTURES[:2])
    store.delete(gone)
    path_of(service, altered).write_bytes(b"picture X")
    place = backups.place_of(service, str(tmp_path / "backup"), None)
    made = make(service, place)
    assert (made.blobs, made.damaged) == (10, sorted([gone, altered]))
    assert dict(backups.restore(place, elsewhere))["images"] == 12  # all there is, rather than nothing


def test_an_interrupted_backup_is_none(service, tmp_path, elsewhere, monkeypatch):
    place = backups.place_of(service, str(tmp_path / "backup"), None)
    making = backups.back_up(service, place)
    next(making)  # all blobs are there
    making.close()
    assert open_pages(open_store(place)).names() == []
    with pytest.raises(NotFound, match="no such backup"):
        list(backups.restore(place, elsewhere))


def test_an_interrupted_restore_leaves_no_rows_and_is_run_again(service, tmp_path, elsewhere):
    place = backups.place_of(service, str(tmp_path / "backup"), None)
    make(service, place)
    restoring = backups.restore(place, elsewhere)
    for name, _ in restoring:
        if name == "images":
            break
    restoring.close()
    assert count(elsewhere, Image) == 0
    assert dict(backups.restore(place, elsewhere))["images"] == 12


@pytest.mark.parametrize(("harm", "error"), [("lose", BlobMissing), ("alter", BlobMissing), ("rows", BlobCorrupt)])
def test_a_damaged_backup_restores_nothing(service, tmp_path, elsewhere, harm, error):
    place = backups.place_of(service, str(tmp_path / "backup"), None)
    made = make(service, place)
    picture = open_store(service).put(PICTURES[0]).sha256
    match harm:
        case "lose":
            open_store(place).delete(picture)
        case "alter":
            path_of(place, picture).write_bytes(b"picture X")
        case "rows":
            path_of(place, made.rows).write_bytes(b"rows")
    with pytest.raises(error):
        list(backups.restore(place, elsewhere))
    if harm != "rows":
        assert count(elsewhere, Job) == count(elsewhere, Dataset) == 0


def test_a_backup_of_an_older_version_is_migrated(service, tmp_path, elsewhere):
    place = backups.place_of(service, str(tmp_path / "backup"), None)
    made = make(service, place)
    rows = backups.at(service, tmp_path / "old.db")
    open_store(place).fetch(made.rows, tmp_path / "old.db")
    downgrade(rows, "0026")
    with backups.opened(rows) as old, old.reading() as session:
        revision = backups.revision_of(session.connection()).found
    old = made.model_copy(update={"rows": open_store(place).put(tmp_path / "old.db").sha256, "revision": revision})
    open_pages(open_store(place)).write(made.name, old.model_dump_json().encode())
    assert dict(backups.restore(place, elsewhere))["images"] == 12


def test_a_backup_of_a_newer_version_is_refused(service, tmp_path, elsewhere):
    place = backups.place_of(service, str(tmp_path / "backup"), None)
    made = make(service, place)
    newer = made.model_copy(update={"revision": "9999"})
    open_pages(open_store(place)).write(made.name, newer.model_dump_json().encode())
    with pytest.raises(Invalid, match="newer version"):
        list(backups.restore(place, elsewhere))


def test_a_database_of_another_version_is_not_backed_up(elsewhere, tmp_path):
    upgrade(elsewhere)
    downgrade(elsewhere, "-1")
    with pytest.raises(Invalid, match="schema"):
        make(elsewhere, backups.place_of(elsewhere, str(tmp_path / "backup"), None))


def test_data_and_running_services_are_not_overwritten(service, tmp_path, elsewhere):
    place = backups.place_of(service, str(tmp_path / "backup"), None)
    make(service, place)
    with pytest.raises(Invalid, match="runs"):
        list(backups.restore(place, service))
    with backups.opened(service) as database, database.transaction() as session:
        session.execute(backups.delete(WorkerSeen))
    with pytest.raises(Invalid, match="data already"):
        list(backups.restore(place, service))


@pytest.mark.parametrize("inside", ["", "/", "/more"])
def test_the_store_is_no_place_for_backups(service, inside):
    own = service.storage_url.removeprefix("file://")
    with pytest.raises(Invalid, match="overlap"):
        backups.place_of(service, own + inside, None)


def test_the_commands(service, tmp_path, monkeypatch, capsys):
    place = str(tmp_path / "backup")
    monkeypatch.setenv("TSUKIJI_DATA_DIR", str(service.data.dir))
    monkeypatch.setenv("TSUKIJI_DATABASE_URL", service.database_url)
    assert main(["backup", place, "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["blobs"] == 12
    assert main(["verify", "--place", place, "--read"]) == 0
    assert "12 blobs" in capsys.readouterr().out
    picture = open_store(service).put(PICTURES[0]).sha256
    path_of(backups.place_of(service, place, None), picture).write_bytes(b"picture X")
    with pytest.raises(SystemExit):
        main(["verify", "--place", place, "--read"])
    assert f"altered: {picture}" in capsys.readouterr().out
    monkeypatch.setenv("TSUKIJI_DATA_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.delenv("TSUKIJI_DATABASE_URL")
    assert main(["restore", place]) == 4
    assert "Nothing was restored" in capsys.readouterr().err
    assert main(["restore", place, "--backup", "2020-01-01T000000Z"]) == 4
    assert made["backup"] in capsys.readouterr().err
