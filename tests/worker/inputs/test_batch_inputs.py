"""What a batch may be made of, beside zips and data sets: tars, manifests, folders."""

import io
import json
import tarfile

import pytest
from sqlalchemy import select

from db import keys, projects
from db.curation import datasets, image_edits
from db.jobs import batches, jobs, leases
from db.models import BatchItem, Chunk, Job
from tests.worker.conftest import picture, work
from tsukiji.errors import StorageUnavailable
from tsukiji.ingest.sources import Sources
from tsukiji.jobs import JobKind
from tsukiji.kernel.settings import LimitSettings, SourceSettings
from tsukiji.types import Exclude
from worker.jobs.batches import plan
from worker.jobs.imports import run as run_import


@pytest.fixture
def photos(services, tmp_path):
    """An allowed folder of five pictures of two kinds, and one file that is none."""
    folder = tmp_path / "photos"
    for number in range(5):
        path = folder / ("red" if number % 2 == 0 else "blue") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(number))
    (folder / "red" / "notes.txt").write_bytes(b"no picture")
    allow(services, f"file://{folder}")
    return folder


def png(number):
    buffer = io.BytesIO()
    picture(number).save(buffer, "PNG")
    return buffer.getvalue()


def allow(services, *urls, **limits):
    settings = services.settings.model_copy(
        update={"sources": SourceSettings(allowed=[*urls]), "limits": LimitSettings(**limits)}
    )
    services.settings = settings
    services.sources = Sources(settings)


def items(services, job):
    with services.database.reading() as session:
        return list(session.scalars(select(BatchItem).where(BatchItem.job_id == job.id).order_by(BatchItem.seq)))


def chunks_of(services):
    with services.database.reading() as session:
        return list(session.scalars(select(Chunk).order_by(Chunk.first_seq)))


def test_a_batch_tells_what_it_passed_over(services, submit, model, photos):
    (photos / "red/@eaDir/0.png").mkdir(parents=True)
    (photos / "red/@eaDir/0.png/SYNOPHOTO_THUMB_M.png").write_bytes(png(9))
    job = submit.batch(model, {"type": "source", "source": f"file://{photos}"})
    work(services, job.id, plan)
    assert {item.custom_id for item in items(services, job)} == {
        "blue/1.png",
        "blue/3.png",
        "red/0.png",
        "red/2.png",
        "red/4.png",
        "red/notes.txt",
    }
    (warning,) = submit.find(job).result["warnings"]
    assert (warning["code"], warning["count"], warning["names"]) == ("leftovers_passed_over", 1, ["red/@eaDir"])


def test_a_batch_of_nothing_but_leftovers_says_so(services, submit, model, photos):
    (photos / "new/#recycle").mkdir(parents=True)
    job = submit.batch(model, {"type": "source", "source": f"file://{photos}/new"})
    work(services, job.id, plan)
    ended = submit.find(job)
    assert (ended.status, ended.error["code"]) == ("failed", "batch_empty")
    assert "#recycle" in ended.error["detail"]


def submit_manifest(services, submit, model, *lines):
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    blob = services.store.put(text.encode())
    return submit.batch(model, {"type": "manifest", "filename": None}, upload_sha256=blob.sha256)


def planned(services, submit, job):
    work(services, job.id, plan)
    return submit.find(job)


def test_a_tar_becomes_a_batch(services, submit, model, tmp_path):
    path = tmp_path / "pets.tar.gz"
    with tarfile.open(path, "w:gz") as file:
        for number in range(3):
            info = tarfile.TarInfo(f"a/{number}.png")
            info.size = len(png(number))
            file.addfile(info, io.BytesIO(png(number)))
    blob = services.store.put(path)
    job = submit.batch(model, {"type": "archive", "filename": "x"}, upload_sha256=blob.sha256)
    ended = planned(services, submit, job)
    assert (ended.planned, ended.items_total, ended.upload_sha256) == (True, 3, None)
    assert [services.store.read(item.sha256) for item in items(services, job)] == [png(number) for number in range(3)]


def test_a_manifest_names_images_by_id_hash_and_url(services, submit, model, photos, pets):
    imported = submit.import_zip(pets)
    work(services, imported.id, run_import)
    with services.database.reading() as session:
        image = datasets.all_images(session, imported.dataset_id, 1)[0]
    job = submit_manifest(
        services,
        submit,
        model,
        {"custom_id": "by id", "image": image.id},
        {"custom_id": "by hash", "image": f"sha256:{image.sha256}", "true_label": "told"},
        {"image": f"file://{photos}/red/0.png"},
        {"custom_id": "relabelled", "image": image.id, "true_label": "other"},
        "no json",
        {"custom_id": "by id", "image": image.id},
        {"custom_id": "unknown", "image": "img_no"},
        {"custom_id": "unknown hash", "image": "sha256:" + "0" * 64},
        {"custom_id": "outside", "image": "file:///etc/passwd"},
        {"custom_id": "missing", "image": f"file://{photos}/no.png"},
        {"custom_id": "nested", "image": f"file://{photos}/red"},
    )
    ended = planned(services, submit, job)
    found = items(services, job)
    assert (ended.planned, ended.items_total) == (True, 11)
    assert [(item.custom_id, item.true_label) for item in found[:4]] == [
        ("by id", image.label),
        ("by hash", "told"),
        (f"file://{photos}/red/0.png", None),
        ("relabelled", "other"),
    ]
    assert {item.sha256 for item in (found[0], found[1], found[3])} == {image.sha256}
    assert services.store.read(found[2].sha256) == png(0)
    assert [(item.error["code"], item.error["line"]) for item in found[4:]] == [
        ("manifest_line_invalid", 5),
        ("duplicate_custom_id", 6),
        ("image_unknown", 7),
        ("image_unknown", 8),
        ("source_not_allowed", 9),
        ("source_missing", 10),
        ("source_missing", 11),
    ]


def test_a_manifest_of_a_bound_key_names_only_images_that_it_sees(services, submit, model, photos, pets):
    imported = submit.import_zip(pets)
    work(services, imported.id, run_import)
    with services.database.transaction() as session:
        image = datasets.all_images(session, imported.dataset_id, 1)[0]
        seeing = keys.create(session, "seeing", ["predict", "read"], datasets=[imported.dataset_id])[0].id
        blind = keys.create(session, "blind", ["predict"], models=[model.id])[0].id
    lines = [
        {"custom_id": "id", "image": image.id},
        {"custom_id": "hash", "image": f"sha256:{image.sha256}"},
        {"custom_id": "folder", "image": f"file://{photos}/red/0.png"},
    ]
    for key, errors in ((seeing, [None, None]), (blind, ["image_unknown", "image_unknown"])):
        job = submit_manifest(services, submit, model, *lines)
        with services.database.transaction() as session:
            session.get(Job, job.id).created_by = key
        planned(services, submit, job)
        found = [item.error and item.error["code"] for item in items(services, job)]
        assert found == [*errors, "source_not_allowed"]


def test_a_manifest_names_nothing_of_another_project_and_no_folder(services, submit, model, photos, pets):
    imported = submit.import_zip(pets)
    work(services, imported.id, run_import)
    with services.database.transaction() as session:
        image = datasets.all_images(session, imported.dataset_id, 1)[0]
        other = projects.create(session, "other").id
        key = keys.create(session, "theirs", project_id=other)[0].id
    lines = [{"image": image.id}, {"image": f"sha256:{image.sha256}"}, {"image": f"file://{photos}/red/0.png"}]
    job = submit_manifest(services, submit, model, *lines)
    with services.database.transaction() as session:
        row = session.get(Job, job.id)
        row.created_by, row.project_id = key, other
    planned(services, submit, job)
    codes = [item.error and item.error["code"] for item in items(services, job)]
    assert codes == ["image_unknown", "image_unknown", "source_not_allowed"]


def test_a_file_of_a_manifest_that_is_too_large(services, submit, model, photos):
    allow(services, f"file://{photos}", image_bytes=50)
    job = submit_manifest(services, submit, model, {"image": f"file://{photos}/red/0.png"})
    planned(services, submit, job)
    assert items(services, job)[0].error["code"] == "too_many_bytes"


def test_a_folder_becomes_a_batch(services, submit, model, photos):
    job = submit.batch(model, {"type": "source", "source": f"file://{photos}"})
    ended = planned(services, submit, job)
    assert (ended.planned, ended.items_total) == (True, 6)
    names = ["blue/1.png", "blue/3.png", "red/0.png", "red/2.png", "red/4.png", "red/notes.txt"]
    assert [item.custom_id for item in items(services, job)] == names


@pytest.mark.parametrize(
    ("url", "code"),
    [("file:///etc", "source_not_allowed"), ("{photos}/no", "source_missing"), ("{photos}/empty", "batch_empty")],
)
def test_what_cannot_be_read_fails_with_the_reason(services, submit, model, photos, url, code):
    (photos / "empty").mkdir()
    job = submit.batch(model, {"type": "source", "source": url.format(photos=f"file://{photos}")})
    ended = planned(services, submit, job)
    assert (ended.status, ended.error["code"]) == ("failed", code)


def test_a_folder_with_too_many_files(services, submit, model, photos):
    allow(services, f"file://{photos}", archive_entries=5)
    job = submit.batch(model, {"type": "source", "source": f"file://{photos}"})
    assert planned(services, submit, job).error["code"] == "source_too_large"
    allow(services, f"file://{photos}", batch_items=5)
    job = submit.batch(model, {"type": "source", "source": f"file://{photos}"})
    assert planned(services, submit, job).error["code"] == "batch_too_large"


def test_a_folder_is_imported(services, submit, photos):
    with services.database.transaction() as session:
        dataset = datasets.create(session, "pets")
    request = {"dataset": dataset.id, "source": f"file://{photos}"}
    job = submit.job(JobKind.IMPORT, request=request, dataset_id=dataset.id, unit="files")
    work(services, job.id, run_import)
    ended = submit.find(job)
    assert (ended.status, ended.total) == ("succeeded", 6)
    assert (ended.result["accepted"], ended.result["rejected"]) == (5, 1)
    with services.database.reading() as session:
        assert dict(datasets.count_labels(session, [dataset.id])[dataset.id]) == {"red": 3, "blue": 2}


def test_planning_that_was_interrupted_goes_on_and_nothing_is_there_twice(
    services, submit, model, archive, monkeypatch
):
    monkeypatch.setattr("worker.jobs.batches.PAGE", 4)
    blob = services.store.put(archive({f"{number}.png": number for number in range(10)}))
    job = submit.batch(model, {"type": "archive", "filename": "x"}, upload_sha256=blob.sha256)
    keep, calls = services.store.put, []

    def away(data):
        calls.append(1)
        if len(calls) == 7:
            raise StorageUnavailable
        return keep(data)

    with monkeypatch.context() as broken:
        broken.setattr(services.store, "put", away)
        waits = planned(services, submit, job)
    assert (waits.status, waits.planned, waits.items_total) == ("queued", False, 4)
    before = chunks_of(services)
    assert [(chunk.first_seq, chunk.last_seq) for chunk in before] == [(0, 3)], "workers have begun with the first page"
    ended = planned(services, submit, job)
    assert (ended.planned, ended.items_total) == (True, 10)
    assert [item.custom_id for item in items(services, job)] == [f"{number}.png" for number in range(10)]
    after = chunks_of(services)
    assert [(chunk.first_seq, chunk.last_seq) for chunk in after] == [(0, 3), (4, 7), (8, 9)]
    assert after[0].id == before[0].id


def test_a_data_set_that_may_change_is_planned_anew_after_an_interruption(services, submit, model, pets, monkeypatch):
    imported = submit.import_zip(pets)
    work(services, imported.id, run_import)
    monkeypatch.setattr("worker.jobs.batches.PAGE", 4)
    source = {"type": "dataset", "dataset": imported.dataset_id, "split": None}
    job = submit.batch(model, source, dataset_id=imported.dataset_id)
    add, calls = batches.add_items, []

    def away(*arguments):
        calls.append(1)
        if len(calls) == 3:
            raise StorageUnavailable
        return add(*arguments)

    with monkeypatch.context() as broken:
        broken.setattr(batches, "add_items", away)
        assert planned(services, submit, job).status == "queued"
    assert chunks_of(services) == [], "what is read next time may be something else"
    with services.database.transaction() as session:
        gone = datasets.all_images(session, imported.dataset_id, 1)
        image_edits.carry_out(session, imported.dataset_id, Exclude(act="exclude", images=[gone[0].id]), most_labels=9)
    assert planned(services, submit, job).items_total == 23
    assert len({item.custom_id for item in items(services, job)}) == 23


def test_a_planner_that_lost_its_job_writes_no_more(services, submit, model, archive, monkeypatch):
    monkeypatch.setattr("worker.jobs.batches.PAGE", 4)
    monkeypatch.setattr("tsukiji.kernel.pipeline.AHEAD", 1)  # or all are kept before the first page is written
    blob = services.store.put(archive({f"{number}.png": number for number in range(10)}))
    job = submit.batch(model, {"type": "archive", "filename": "x"}, upload_sha256=blob.sha256)
    keep, calls = services.store.put, []

    def lose(data):
        calls.append(1)
        if len(calls) == 7:
            with services.database.transaction() as session:
                assert leases.give_back(session, jobs.find(session, job.id), "test")
        return keep(data)

    monkeypatch.setattr(services.store, "put", lose)
    waits = planned(services, submit, job)
    assert (waits.status, waits.planned) == ("queued", False)
    assert len(items(services, job)) == 4
