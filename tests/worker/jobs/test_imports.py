import random
import struct
import sys
import tarfile
import zipfile
import zlib
from io import BytesIO

import pytest
from PIL import Image

from db.curation import datasets, import_verdicts, revisions
from db.jobs import jobs, leases
from db.paging import Window
from tests.worker.conftest import picture, work
from training import digits
from tsukiji.jobs import JobKind, JobStatus
from tsukiji.kernel.settings import AnalysisSettings, LimitSettings
from tsukiji.labels import split_labels
from tsukiji.vision.phash import PLAIN
from worker.jobs import imports as intake
from worker.jobs.imports import run


def png_header(width, height):
    """A tiny file that claims to be a huge picture."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 9)) + chunk(b"IEND", b"")
    )


def nested():
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("cat/1.jpg", b"x")
    return buffer.getvalue()


def verdicts(services, job):
    with services.database.reading() as session:
        rows = import_verdicts.page_verdicts(session, job.id, Window(5000)).data
    return {row.name: (row.verdict, row.error and row.error["code"]) for row in rows}


def test_a_name_that_never_ends_is_kept_short(services, submit, archive):
    name = f"cat/{'x' * 30_000}.png"
    job = submit.import_zip(archive({name: 1, f"cat/{'y' * 30_000}.txt": b"text"}))
    work(services, job.id, run)
    with services.database.reading() as session:
        rows = import_verdicts.page_verdicts(session, job.id, Window(10)).data
    assert {row.verdict for row in rows} == {"accepted", "rejected"}
    assert all(len(row.name) == 1000 and row.name.startswith("cat/") for row in rows)
    assert rows[0].name.endswith("x.png")
    assert all(len(row.error["detail"]) <= 1000 for row in rows if row.error)


def test_every_good_picture_lands_and_every_bad_one_is_listed_with_its_reason(services, submit, archive, tmp_path):
    good = {f"pets/{'cat' if number % 3 else 'dog'}/{number}.png": number for number in range(1000)}
    whole = archive({"a.png": 1}).read_bytes()
    bad = {
        "pets/cat/cut.png": zipfile.ZipFile(BytesIO(whole)).read("a.png")[:60],
        "pets/cat/text.jpg": b"this is no picture at all",
        "pets/cat/bomb.png": png_header(30_000, 30_000),
        "../../evil.jpg": b"evil",
        "pets/cat/more.zip": nested(),
    }
    job = submit.import_zip(archive(good | bad | {"pets/.DS_Store": b"x", "__MACOSX/pets/cat/._1.png": b"x"}))
    before = set(tmp_path.parent.rglob("*evil*"))
    work(services, job.id, run)

    ended = submit.find(job)
    assert ended.status == JobStatus.SUCCEEDED
    assert (ended.result["accepted"], ended.result["duplicates"], ended.result["rejected"]) == (1000, 0, 5)
    listed = verdicts(services, job)
    assert len(listed) == 1005
    assert {name: listed[name] for name in bad} == {
        "pets/cat/cut.png": ("rejected", "truncated"),
        "pets/cat/text.jpg": ("rejected", "not_an_image"),
        "pets/cat/bomb.png": ("rejected", "too_many_pixels"),
        "../../evil.jpg": ("rejected", "unsafe_path"),
        "pets/cat/more.zip": ("rejected", "nested_archive"),
    }
    assert set(tmp_path.parent.rglob("*evil*")) == before
    with services.database.reading() as session:
        labels = datasets.count_labels(session, [ended.dataset_id])[ended.dataset_id]
    assert dict(labels) == {"cat": 666, "dog": 334}
    assert not services.store.exists(job.upload_sha256), "the archive is not needed any more"


def test_a_picture_that_is_there_twice_is_stored_once(services, submit, archive):
    job = submit.import_zip(archive({"cat/1.png": 1, "cat/2.png": 2, "dog/again.png": 1}))
    work(services, job.id, run)
    listed = verdicts(services, job)
    assert [verdict for verdict, _ in listed.values()] == ["accepted", "accepted", "duplicate"]


def test_a_picture_under_two_labels_keeps_the_first_and_that_is_told(services, submit, archive):
    job = submit.import_zip(archive({"cat/1.png": 1, "dog/2.png": 1, "dog/3.png": 2}))
    work(services, job.id, run)
    (warning,) = submit.find(job).result["warnings"]
    assert warning["code"] == "conflicting_labels"
    assert "1 picture came under two labels, such as 'cat/1.png' and 'dog/2.png'" in warning["detail"]
    assert "here 'cat' and not 'dog'" in warning["detail"]


def test_folders_named_like_splits_are_splits(services, submit, archive):
    job = submit.import_zip(archive({"train/cat/1.png": 1, "valid/cat/2.png": 2, "test/dog/3.png": 3, "dog/4.png": 4}))
    work(services, job.id, run)
    with services.database.reading() as session:
        splits = datasets.count_images(session, [job.dataset_id])[job.dataset_id].splits
    assert splits == {"train": 1, "valid": 1, "test": 1, "unassigned": 1}


def test_an_import_that_was_interrupted_goes_on_where_it_was(services, submit, archive, monkeypatch):
    job = submit.import_zip(archive({f"cat/{number}.png": number for number in range(250)}))
    real, calls = services.store.put, []

    def dies(data):
        calls.append(1)
        if len(calls) == 150:
            raise KeyboardInterrupt
        return real(data)

    monkeypatch.setattr(services.store, "put", dies)
    try:
        work(services, job.id, run)
    except KeyboardInterrupt:
        pass
    else:
        raise AssertionError("it did not die")
    assert len(verdicts(services, job)) == 100, "what was committed stays"
    with services.database.transaction() as session:
        leases.give_back(session, jobs.find(session, job.id), "test")
    monkeypatch.setattr(services.store, "put", real)
    work(services, job.id, run)
    assert submit.find(job).result["accepted"] == 250


def test_what_is_no_archive_fails_with_the_way_out(services, submit, tmp_path):
    (tmp_path / "no.zip").write_bytes(b"no zip at all")
    job = submit.import_zip(tmp_path / "no.zip")
    work(services, job.id, run)
    ended = submit.find(job)
    assert (ended.status, ended.error["code"]) == ("failed", "archive_unreadable")
    assert ended.error["hint"]


def test_labels_have_limits(services, submit, archive):
    limited = services.settings.model_copy(update={"limits": LimitSettings(dataset_classes=2)})
    services.settings = limited
    job = submit.import_zip(archive({"a/1.png": 1, "b/2.png": 2, "c/3.png": 3, "x" * 201 + "/4.png": 4}))
    work(services, job.id, run)
    assert [code for _, code in verdicts(services, job).values()] == [None, None, "label_refused", "label_refused"]


ALIKE = ["cat", "cat ", "cat\u200b", " dog", "dog\u00a0", "\ufeffdog", "Cat"]


def test_labels_are_trimmed_and_those_that_look_alike_are_told(services, submit, archive, tmp_path):
    folders = {f"pets/{label}/{number}.png": number for number, label in enumerate(ALIKE)}
    table = "file,label\n" + "".join(f"t/{number}.png,{label}\n" for number, label in enumerate(ALIKE, 20))
    tabled = {"labels.csv": table.encode()} | {f"t/{number}.png": number for number in range(20, 20 + len(ALIKE))}
    for name, files in (("folders", folders), ("tables", tabled)):
        job = submit.import_zip(archive(files), name=name)
        work(services, job.id, run)
        with services.database.reading() as session:
            assert datasets.labels_of(session, job.dataset_id) == {"cat", "dog", "Cat"}
        (warning,) = submit.find(job).result["warnings"]
        assert warning["code"] == "labels_alike"
        assert "'Cat', 'cat'" in warning["detail"]


def test_a_folder_whose_name_cannot_be_seen_is_no_label(services, submit, archive):
    for kind in ("single_label", "multi_label"):
        job = submit.import_zip(archive({" /1.png": 1, "\u200b/2.png": 2}), name=kind, kind=kind)
        work(services, job.id, run)
        with services.database.reading() as session:
            assert [row.label for row in datasets.all_images(session, job.dataset_id, 9)] == [None, None], kind


def test_a_data_set_that_vanished_fails_its_import(services, submit, archive):
    job = submit.import_zip(archive({"a/1.png": 1}))
    with services.database.transaction() as session:
        datasets.remove(session, job.dataset_id)
    work(services, job.id, run)
    assert submit.find(job).status == "failed"


def test_copies_of_a_picture_have_hashes_that_are_close(services, submit, archive):
    small = Image.frombytes("RGB", (6, 6), random.Random(1).randbytes(108))
    sizes = {side: BytesIO() for side in (64, 300)}
    for side, file in sizes.items():
        small.resize((side, side), Image.Resampling.BICUBIC).save(file, "JPEG")
    job = submit.import_zip(
        archive({f"cat/{side}.jpg": file.getvalue() for side, file in sizes.items()} | {"cat/0.png": 0})
    )
    work(services, job.id, run)
    with services.database.reading() as session:
        hashes = {image.name: image.phash for image in datasets.labelled_images(session, submit.find(job).dataset_id)}
    assert (int(hashes["cat/64.jpg"], 16) ^ int(hashes["cat/300.jpg"], 16)).bit_count() <= 6
    assert hashes["cat/0.png"] == PLAIN


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_tar_is_read_like_a_zip_and_gone_on_with(services, submit, tmp_path, mode, monkeypatch):
    path = tmp_path / "pets.tar"
    with tarfile.open(path, mode) as file:
        for number in range(7):
            add(file, f"cat/{number}.png", png(number))
        add(file, "dog/bad.png", b"no picture")
        link = tarfile.TarInfo("dog/link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        file.addfile(link)
    monkeypatch.setattr("worker.jobs.imports.COMMIT_FILES", 3)
    commit = intake.commit

    def crash(services, job, part, total):
        commit(services, job, part, total)
        raise RuntimeError("the worker dies after its first commit")

    job = submit.import_zip(path)
    with monkeypatch.context() as dying:
        dying.setattr("worker.jobs.imports.commit", crash)
        work(services, job.id, run)
    work(services, job.id, run)
    ended = submit.find(job)
    assert (ended.status, ended.total) == ("succeeded", 9)
    assert {name: ended.result[name] for name in ("accepted", "rejected")} == {"accepted": 7, "rejected": 2}


def test_an_analysis_follows_where_that_is_wanted(services, submit, archive):
    wanted = services.settings.model_copy(update={"analysis": AnalysisSettings(after_import=True)})
    services.settings = wanted
    job = submit.import_zip(archive({"cat/1.png": 1, "cat/2.png": 2}))
    work(services, job.id, run)
    ended = submit.find(job)
    with services.database.reading() as session:
        analysis = jobs.find(session, ended.result["analysis_id"], JobKind.ANALYSIS)
    assert (analysis.status, analysis.dataset_id) == ("queued", ended.dataset_id)
    nothing = submit.import_zip(archive({"cat/bad.png": b"no picture"}), "empty")
    work(services, nothing.id, run)
    assert "analysis_id" not in submit.find(nothing).result


def add(file, name, data):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    file.addfile(info, BytesIO(data))


def png(number):
    buffer = BytesIO()
    picture(number).save(buffer, "PNG")
    return buffer.getvalue()


def test_copies_in_the_folders_of_their_labels_become_one_image_with_all_of_them(
    services, submit, archive, monkeypatch
):
    monkeypatch.setattr(intake, "COMMIT_FILES", 3)
    files = {f"{folder}/{n}.png": n for folder in ("ant", "bee", "wasp") for n in range(4)}
    job = submit.import_zip(archive({**files, "ant+bee/9.png": 9, "+/8.png": 8, "7.png": 7}), kind="multi_label")
    work(services, job.id, run)
    counts = {name: submit.find(job).result[name] for name in ("accepted", "duplicates", "rejected")}
    assert counts == {"accepted": 7, "duplicates": 8, "rejected": 0}
    with services.database.reading() as session:
        images = datasets.page_images(session, job.dataset_id, Window(50)).data
        rows = {row.name: row for row in import_verdicts.page_verdicts(session, job.id, Window(50)).data}
        history = [row.act for row in revisions.page(session, job.dataset_id, Window(50)).data]
    labels = {image.name: image.label and split_labels(image.label) for image in images}
    assert labels == {f"ant/{n}.png": ["ant", "bee", "wasp"] for n in range(4)} | {
        "ant+bee/9.png": ["ant", "bee"],
        "+/8.png": [],
        "7.png": None,
    }
    assert (rows["wasp/0.png"].verdict, split_labels(rows["wasp/0.png"].label)) == ("duplicate", ["ant", "bee", "wasp"])
    assert set(history) == {"import"}


def test_the_sample_has_its_digits_as_labels(services, submit, monkeypatch):
    whole = list(digits.digits())
    monkeypatch.setattr(digits, "digits", lambda: iter(whole[:30]))
    with services.database.transaction() as session:
        dataset = datasets.create(session, "digits")
    request = {"dataset": dataset.id, "sample": True}
    job = submit.job(JobKind.IMPORT, request=request, dataset_id=dataset.id, unit="files")
    work(services, job.id, run)
    assert submit.find(job).result["accepted"] == 30
    with services.database.reading() as session:
        assert datasets.labels_of(session, dataset.id) == {str(digit) for digit in range(10)}


def test_without_scikit_learn_the_sample_says_what_is_missing(services, submit, monkeypatch):
    monkeypatch.setitem(sys.modules, "training.digits", None)
    with services.database.transaction() as session:
        dataset = datasets.create(session, "digits")
    request = {"dataset": dataset.id, "sample": True}
    job = submit.job(JobKind.IMPORT, request=request, dataset_id=dataset.id, unit="files")
    work(services, job.id, run)
    ended = submit.find(job)
    assert (ended.status, ended.error["code"]) == ("failed", "sample_unavailable")
    assert "scikit-learn" in ended.error["hint"]
