"""Batches with Parquet output: what is promised of batches holds, and no image is a row."""

import io
import json
from functools import partial

import pyarrow as pa
import pytest
from pyarrow import parquet
from sqlalchemy import func, select, update

from db import stored_results
from db.jobs import batches as batch_rows
from db.jobs import drift, jobs
from db.models import BatchItem, Blob, Chunk, Job, Prediction
from db.paging import Window
from db.predictions import retention
from db.predictions.decisions import Rule
from db.predictions.results import Wanted
from tests.worker.conftest import picture, run_next, work
from tests.worker.conftest import run_chunks as run_chunks_only
from tsukiji.errors import BlobCorrupt, ModelGone
from tsukiji.kernel.settings import DatabaseSettings, LimitSettings, OutputSettings, SourceSettings
from worker import dispatcher, part_files
from worker.inference import part_inference
from worker.jobs.batches import plan
from worker.jobs.batches import run as batch_run
from worker.jobs.imports import run as run_import
from worker.services import open_services

OUTPUT = {"to": "parquet"}


@pytest.fixture(params=["sqlite", "postgresql"])
def services(request, services, tmp_path):
    """The services of both databases, which may read the folder `photos`."""
    allowed = {"sources": SourceSettings(allowed=[f"file://{tmp_path}/photos"])}
    settings = services.settings.model_copy(update=allowed)
    if request.param == "sqlite":
        services.settings = settings
        services.sources = type(services.sources)(settings)
        yield services
        return
    url = request.getfixturevalue("empty_postgres")
    theirs = open_services(settings.model_copy(update={"database": DatabaseSettings(url=url)}))
    yield theirs
    theirs.database.close()


@pytest.fixture
def photos(tmp_path):
    """A folder with ten pictures in two folders, and two other files."""
    for number in range(10):
        path = tmp_path / "photos" / ("day" if number % 2 else "night") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(number).save(path)
    (tmp_path / "photos" / "night" / "bad.jpg").write_bytes(b"no")
    (tmp_path / "photos" / "notes.txt").write_bytes(b"PK\x03\x04")
    return tmp_path / "photos"


@pytest.fixture
def start(services, submit, model):
    """Submit a batch over a source, with its results in parts or in rows."""

    def submitted(source, output=OUTPUT, **columns):
        request = {"model": model.id, "label_names": model.label_names, "top_k": 2, "threshold": 0.5, "input": source}
        request |= {"output": output} if output else {}
        return submit.job("batch", request=request, model_id=model.id, **columns)

    return submitted


def run_chunks(services, models, job=None):
    """Do all chunks, and the end of this job."""
    run_chunks_only(services, models)
    if job is not None:
        work(services, job.id, batch_run)


def page(services, job, window=None, **wanted):
    with services.database.reading() as session:
        row = jobs.find(session, job.id)
        wanted.setdefault("rule", Rule.of(row))
        return stored_results.page(session, services.files, row, window or Window(1000), Wanted(**wanted))


def rows(services, job, **wanted):
    return page(services, job, **wanted)[0]


def count(services, table):
    with services.database.reading() as session:
        return session.scalar(select(func.count()).select_from(table))


def chunks_of(services, job):
    with services.database.reading() as session:
        return list(session.scalars(select(Chunk).where(Chunk.job_id == job.id).order_by(Chunk.first_seq)))


@pytest.fixture
def finished(services, start, photos, models):
    """A batch over the folder that has ended, and the same with rows."""
    both = []
    for output in (OUTPUT, None):
        job = start({"type": "source", "source": f"file://{photos}"}, output)
        work(services, job.id, plan)
        run_chunks(services, models, job)
        both.append(job)
    return both


def test_parts_say_what_rows_say(services, submit, finished):
    parts, plain = finished
    ended, expected = submit.find(parts), submit.find(plain)
    assert ended.status == expected.status == "succeeded"
    assert (ended.items_total, ended.items_succeeded, ended.items_errored) == (12, 10, 2)
    assert (expected.items_total, expected.items_succeeded, expected.items_errored) == (12, 10, 2)
    mine, theirs = rows(services, parts), rows(services, plain)
    assert [outcome(row) for row in mine] == [outcome(row) for row in theirs]
    assert mine[0].sha256 is None, "an archive is no picture"


def outcome(row):
    code = row.error and row.error["code"]
    return row.custom_id, row.sha256, row.label, row.score, row.probabilities, row.width, row.height, code


def test_no_image_is_a_row_and_no_picture_is_copied(services, start, photos, models):
    before = count(services, Blob)
    job = start({"type": "source", "source": f"file://{photos}"})
    work(services, job.id, plan)
    run_chunks(services, models)
    assert count(services, BatchItem) == count(services, Prediction) == 0
    held = {sha for chunk in chunks_of(services, job) for sha in (chunk.items_sha256, chunk.part_sha256)}
    assert count(services, Blob) == before + len(held), "lists and parts alone are stored"


WANTED = [
    {"status": "succeeded"},
    {"status": "errored"},
    {"status": "unreached"},
    {"status": "reached"},
    {"label": "red"},
    {"decision": "blue"},
    {"abstained": True},
    {"abstained": False},
    {"abstain_reason": "below_threshold"},
    {"min_score": 0.5, "max_score": 0.52},
    {"error": "not_an_image"},
    {"order": "score"},
    {"order": "-score", "label": "red"},
]


def test_filters_and_pages_find_the_same(services, finished):
    for wanted in WANTED:
        parts, plain = (read_all(services, job, **wanted) for job in finished)
        assert parts == plain, wanted


def read_all(services, job, **wanted):
    """Read page by page."""
    found, cursor = [], None
    while True:
        part, cursor = page(services, job, Window(3, cursor), **wanted)
        found += [row.custom_id for row in part]
        if cursor is None:
            return found


def test_the_summary_is_the_same_by_any_threshold(services, finished):
    for threshold in (None, 0.0, 0.505):
        counts = []
        for job in finished:
            with services.database.reading() as session:
                row = jobs.find(session, job.id)
                groups = stored_results.groups(session, services.files, row, Rule.of(row).changed(threshold, None))
                counts.append((sorted(map(str, groups)), batch_rows.reasons(session, job.id)))
        assert counts[0] == counts[1]


def test_drift_is_counted(services, finished):
    with services.database.reading() as session:
        parts, plain = (drift.of_batch(session, job.id) for job in finished)
    assert parts.distribution == plain.distribution


def test_a_zip_goes_into_the_list_and_keeps_its_order(services, start, models, archive):
    files = {f"{number}.png": number for number in range(10)} | {"bad.jpg": b"no", "../x.jpg": b"no"}
    blob = services.store.put(archive(files))
    job = start({"type": "archive", "filename": "x.zip"}, upload_sha256=blob.sha256)
    work(services, job.id, plan)
    assert not services.store.exists(blob.sha256), "the archive is needed no longer"
    run_chunks(services, models)
    found = rows(services, job)
    assert [row.custom_id for row in found] == list(files)
    assert [row.error["code"] for row in found[10:]] == ["not_an_image", "unsafe_path"]


def test_a_manifest_names_addresses_that_the_worker_reads(services, start, models, photos):
    stored = services.store.put((photos / "day" / "1.png").read_bytes())
    with services.database.transaction() as session:
        session.add(Blob(sha256=stored.sha256, bytes=stored.size))
    lines = [
        f'{{"custom_id": "a", "image": "file://{photos}/night/0.png", "true_label": "red"}}',
        f'{{"custom_id": "b", "image": "sha256:{stored.sha256}"}}',
        '{"custom_id": "c", "image": "file:///etc/passwd"}',
        '{"custom_id": "d", "image": "img_nope"}',
        "no json",
    ]
    blob = services.store.put("\n".join(lines).encode())
    job = start({"type": "manifest"}, upload_sha256=blob.sha256)
    work(services, job.id, plan)
    run_chunks(services, models, job)
    found = rows(services, job)
    assert [row.custom_id for row in found] == ["a", "b", "c", "d", "line 5"]
    codes = [row.error and row.error["code"] for row in found]
    assert codes == [None, None, "source_not_allowed", "image_unknown", "manifest_line_invalid"]
    assert [row.custom_id for row in rows(services, job, true_label="red")] == ["a"]


def test_a_data_set_is_listed_with_its_labels(services, submit, start, models, pets):
    imported = submit.import_zip(pets)
    work(services, imported.id, run_import)
    source = {"type": "dataset", "dataset": imported.dataset_id, "split": None}
    job = start(source, dataset_id=imported.dataset_id)
    work(services, job.id, plan)
    run_chunks(services, models)
    assert {row.true_label for row in rows(services, job)} == {"red", "blue"}
    assert len(rows(services, job, true_label="red")) == 12


def test_planning_goes_on_where_a_killed_attempt_stopped(services, submit, start, models, photos, monkeypatch):
    monkeypatch.setattr("worker.jobs.batches.FIRST_LIST", 2)
    job = start({"type": "source", "source": f"file://{photos}"})
    put, calls = services.store.put, []

    def dies(data):
        calls.append(1)
        if len(calls) == 3:
            raise RuntimeError("killed")
        return put(data)

    monkeypatch.setattr(services.store, "put", dies)
    work(services, job.id, plan)
    assert (submit.find(job).status, submit.find(job).items_total) == ("queued", 4)
    run_chunks(services, models)
    assert submit.find(job).items_succeeded + submit.find(job).items_errored == 4
    monkeypatch.setattr(services.store, "put", put)
    (photos / "night" / "new.png").write_bytes((photos / "night" / "0.png").read_bytes())
    rest(services, job)
    work(services, job.id, plan)
    run_chunks(services, models, job)
    names = [row.custom_id for row in rows(services, job)]
    assert len(names) == len(set(names)) == 13
    assert submit.find(job).status == "succeeded"


def rest(services, job):
    with services.database.transaction() as session:
        jobs.change(session, Job.id == job.id, rests_until=None)


def test_a_chunk_that_is_lost_takes_effect_once(services, submit, start, models, photos, monkeypatch):
    job = start({"type": "source", "source": f"file://{photos}"})
    work(services, job.id, plan)
    encode = part_files.encoded

    def late(table, rows):
        """Take the chunk from this attempt while it writes its part; another one ends it."""
        monkeypatch.setattr(part_files, "encoded", encode)
        with services.database.transaction() as session:
            session.execute(update(Chunk).values(lease_owner=None, status="queued"))
        run_chunks(services, models)
        return encode(table, rows)

    monkeypatch.setattr(part_files, "encoded", late)
    run_chunks(services, models, job)
    ended = submit.find(job)
    assert (ended.status, ended.completed, ended.items_succeeded) == ("succeeded", 12, 10)
    assert [row.seq for row in rows(services, job)] == list(range(12))


def test_cancelling_keeps_the_parts_that_are_there(services, submit, start, models, photos):
    job = start({"type": "source", "source": f"file://{photos}"})
    work(services, job.id, plan)
    run_next(services, models)
    with services.database.transaction() as session:
        jobs.request_cancel(session, job.id)
    assert submit.find(job).status == "cancelled"
    done = rows(services, job, status="reached")
    assert len(done) == submit.find(job).completed == 4
    assert len(rows(services, job, status="unreached")) == 8
    assert [row.seq for row in rows(services, job)] == list(range(12))


def test_a_chunk_that_kills_its_workers_fails_with_its_images(services, submit, start, models, photos, monkeypatch):
    job = start({"type": "source", "source": f"file://{photos}"})
    work(services, job.id, plan)
    (first, *_) = chunks_of(services, job)
    with services.database.transaction() as session:
        session.execute(update(Chunk).where(Chunk.id == first.id).values(max_attempts=1))
    with monkeypatch.context() as patched:
        patched.setattr(part_inference, "predict", partial(fail, RuntimeError("boom")))
        run_next(services, models)
    run_chunks(services, models, job)
    ended = submit.find(job)
    assert (ended.status, ended.completed) == ("succeeded", 12)
    assert {row.error["code"] for row in rows(services, job)[:4]} == {"internal"}
    with services.database.reading() as session:
        assert batch_rows.reasons(session, job.id)["internal"] == 4
    assert [row.seq for row in rows(services, job, status="errored")][:4] == [0, 1, 2, 3]


def fail(error, *_, **__):
    raise error


def test_retention_deletes_lists_and_parts(services, finished):
    parts, _ = finished
    held = [sha for chunk in chunks_of(services, parts) for sha in (chunk.items_sha256, chunk.part_sha256)]
    with services.database.transaction() as session:
        retention.request_deletion(session, parts.id)
    dispatcher.purge(services)
    assert chunks_of(services, parts) == []
    now = services.settings.jobs.model_copy(update={"blob_grace_hours": 0.0})
    services.settings = services.settings.model_copy(update={"jobs": now})
    while dispatcher.sweep(services):
        pass
    assert not any(services.store.exists(sha256) for sha256 in held)


def test_a_batch_too_large_for_parquet_says_so(services, submit, start, photos):
    services.settings = services.settings.model_copy(update={"limits": LimitSettings(parquet_items=5)})
    job = start({"type": "source", "source": f"file://{photos}"})
    work(services, job.id, plan)
    assert submit.find(job).error["code"] == "batch_too_large"


def test_parts_are_plain_tables_for_other_programs(services, finished):
    parts, _ = finished
    (chunk, *_) = chunks_of(services, parts)
    table = parquet.read_table(io.BytesIO(services.store.read(chunk.part_sha256)))
    assert table.num_rows == chunk.last_seq + 1 - chunk.first_seq
    assert chunk.part["sha256"] == chunk.part_sha256
    good = [row for row in table.to_pylist() if row["status"] == "succeeded"]
    assert all(row["probabilities"][["blue", "red"].index(row["label"])] == pytest.approx(row["score"]) for row in good)
    assert all(row["image"].startswith("file://") for row in good)


# --- a place of the user's own ---------------------------------------------------------------------------------------


@pytest.fixture
def own(services, tmp_path):
    """A folder that results may be written to."""
    outputs = OutputSettings(allowed=[f"file://{tmp_path}/results"])
    services.settings = services.settings.model_copy(update={"outputs": outputs})
    services.__dict__.pop("files", None)
    return tmp_path / "results"


def test_parts_in_a_folder_are_one_table_with_a_delta_log(services, submit, start, models, photos, own):
    job = start({"type": "source", "source": f"file://{photos}"}, OUTPUT | {"url": f"file://{own}/mine"})
    work(services, job.id, plan)
    folder = own / "mine" / f"batch={job.id}"
    folder.mkdir(parents=True)
    (folder / "part-0000000000-0.parquet").write_bytes(b"left by an attempt that was killed")
    run_chunks(services, models, job)
    assert submit.find(job).status == "succeeded"
    log = [json.loads(line) for line in (folder / "_delta_log/00000000000000000000.json").read_text().splitlines()]
    listed = {line["add"]["path"]: line["add"]["size"] for line in log if "add" in line}
    assert listed == {path.name: path.stat().st_size for path in folder.glob("*.parquet")}
    schema = json.loads(log[1]["metaData"]["schemaString"])
    whole = pa.concat_tables(parquet.read_table(path, partitioning=None) for path in sorted(folder.glob("*.parquet")))
    assert [field["name"] for field in schema["fields"]] == whole.column_names
    assert whole["seq"].to_pylist() == [row.seq for row in rows(services, job)] == list(range(12))
    assert all(chunk.part_sha256 is None for chunk in chunks_of(services, job)), "the store has none of it"


def names_in(folder):
    log = (folder / "_delta_log/00000000000000000000.json").read_text().splitlines()
    return sorted(line["add"]["path"] for line in map(json.loads, log) if "add" in line)


def test_a_cancelled_batch_lists_its_partial_results(services, submit, start, models, photos, own):
    job = start({"type": "source", "source": f"file://{photos}"}, OUTPUT | {"url": f"file://{own}"})
    work(services, job.id, plan)
    failed = chunks_of(services, job)[0]
    with services.database.transaction() as session:
        session.execute(update(Chunk).where(Chunk.id == failed.id).values(status="failed", error={"code": "internal"}))
    run_next(services, models)
    with services.database.transaction() as session:
        jobs.request_cancel(session, job.id)
    folder = own / f"batch={job.id}"
    (folder / "part-0000000008-9.parquet").write_bytes(b"of an attempt that was lost")
    dispatcher.list_ended(services)
    parts = sorted(folder.glob("*.parquet"))
    assert names_in(folder) == [path.name for path in parts]
    table = pa.concat_tables(parquet.read_table(path, partitioning=None) for path in parts)
    assert table["seq"].to_pylist() == [row.seq for row in rows(services, job, status="reached")] == list(range(8))
    assert (submit.find(job).status, submit.find(job).phase) == ("cancelled", None)


def test_a_place_that_is_away_is_listed_later(services, submit, start, models, photos, own):
    job = start({"type": "source", "source": f"file://{photos}"}, OUTPUT | {"url": f"file://{own}"})
    work(services, job.id, plan)
    run_next(services, models)
    with services.database.transaction() as session:
        jobs.fail(session, job.id, ModelGone("It was deleted."))
    folder, away = own / f"batch={job.id}", own.with_name("away")
    own.rename(away)
    own.write_bytes(b"no folder")
    dispatcher.list_ended(services)
    assert submit.find(job).phase == "listing"
    own.unlink()
    away.rename(own)
    rest(services, job)
    dispatcher.list_ended(services)
    assert names_in(folder) == [path.name for path in folder.glob("*.parquet")]
    assert submit.find(job).phase is None


def test_a_part_that_its_owner_changed_is_not_read_as_ours(services, start, models, photos, own):
    job = start({"type": "source", "source": f"file://{photos}"}, OUTPUT | {"url": f"file://{own}"})
    work(services, job.id, plan)
    run_chunks(services, models, job)
    (first, second, *_) = sorted((own / f"batch={job.id}").glob("*.parquet"))
    first.write_bytes(second.read_bytes())
    with pytest.raises(BlobCorrupt):
        rows(services, job)
