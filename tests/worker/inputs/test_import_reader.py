"""What an import reads beside class folders: tables, the exports of other tools, addresses of the web."""

import io
import json
import struct
import tarfile
import threading
import unicodedata
import zipfile

import pytest

from db.curation import datasets, import_verdicts
from db.paging import Window
from tests.settings import make_settings
from tests.tsukiji.ingest.importers import samples
from tests.tsukiji.ingest.sources.internet import PUBLIC, Network, serving
from tests.worker.conftest import Submissions, picture, work
from tsukiji.ingest.sources import Sources, Web
from tsukiji.jobs import JobKind
from tsukiji.kernel.settings import DatabaseSettings, DataSettings, LimitSettings, SourceSettings
from worker.jobs import imports as intake
from worker.jobs.imports import run
from worker.services import open_services

PETS = samples.PETS


def png(number):
    buffer = io.BytesIO()
    picture(number).save(buffer, "PNG")
    return buffer.getvalue()


def submit_import(submit, archive=None, table=None, table_name="labels.csv", name="pets", **request):
    """Make the row of an import of an archive (a path), a table (bytes), or both."""
    services = submit.services
    with services.database.transaction() as session:
        dataset = datasets.create(session, name)
    columns, request = {}, {"dataset": dataset.id, **request}
    if archive is not None:
        columns["upload_sha256"] = services.store.put(archive).sha256
        request.setdefault("filename", "pets.zip")
    if table is not None:
        columns["table_sha256"] = services.store.put(table).sha256
        request["table"] = table_name
    with services.database.transaction() as session:
        for sha256 in columns.values():
            datasets.keep(session, [(sha256, 1)])
    return submit.job(JobKind.IMPORT, request=request, dataset_id=dataset.id, unit="files", **columns)


def images(services, job):
    """Label and split by name, in the order of names."""
    with services.database.reading() as session:
        rows = sorted(datasets.all_images(session, job.dataset_id, 1000), key=lambda row: row.name)
    return {row.name: (row.label, row.split) for row in rows}


def verdicts(services, job):
    with services.database.reading() as session:
        rows = import_verdicts.page_verdicts(session, job.id, Window(5000)).data
    return {row.name: (row.verdict, row.error and row.error["code"]) for row in rows}


def settle(services, **groups):
    settings = services.settings.model_copy(update=groups)
    services.settings = settings
    services.sources = Sources(settings)


# --- layouts ---------------------------------------------------------------------------------------------------------


def test_a_table_in_the_archive_says_labels_splits_and_groups(services, submit, archive):
    table = b"file,label,split,group\nimages/1.png,cat,train,Tom\nimages/2.png,dog,val,\nimages/9.png,dog,,\nx\n"
    job = submit_import(submit, archive({"images/1.png": 1, "labels.csv": table, "images/2.png": 2, "images/3.png": 3}))
    work(services, job.id, run)
    ended = submit.find(job)
    assert (ended.status, ended.total, ended.completed) == ("succeeded", 5, 5)
    assert images(services, job) == {
        "images/1.png": ("cat", "train"),
        "images/2.png": ("dog", "valid"),
        "images/3.png": (None, None),
    }
    assert verdicts(services, job) == {
        "images/1.png": ("accepted", None),
        "images/2.png": ("accepted", None),
        "images/3.png": ("accepted", None),
        "images/9.png": ("rejected", "file_not_sent"),
        "labels.csv, line 5": ("rejected", "table_line_invalid"),
    }
    with services.database.reading() as session:
        lines = [
            row.error["line"] for row in import_verdicts.page_verdicts(session, job.id, Window(9), "rejected").data
        ]
        groups = {row.name: row.group for row in datasets.all_images(session, job.dataset_id, 9)}
    assert groups == {"images/1.png": "Tom", "images/2.png": None, "images/3.png": None}
    assert sorted(lines) == [4, 5]


def test_a_table_at_the_end_of_a_tar_counts_for_what_stood_before(services, submit, tmp_path):
    path = tmp_path / "pets.tar.gz"
    with tarfile.open(path, "w:gz") as file:
        for name, data in [("1.png", png(1)), ("2.png", png(2)), ("table.csv", b"file;label\n1.png;cat\n2.png;dog\n")]:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    job = submit_import(submit, path)
    work(services, job.id, run)
    assert images(services, job) == {"1.png": ("cat", None), "2.png": ("dog", None)}


def test_a_table_sent_beside_the_archive(services, submit, archive):
    table = "file,label\n1.png,Bärenmakrele\n2.png,pâté\n".encode("latin-1")
    job = submit_import(submit, archive({"a/1.png": 1, "a/2.png": 2}), table)
    work(services, job.id, run)
    assert images(services, job) == {"a/1.png": ("Bärenmakrele", None), "a/2.png": ("pâté", None)}
    assert not services.store.exists(job.table_sha256), "the table is not needed any more"
    assert not services.store.exists(job.upload_sha256)
    assert submit.find(job).table_sha256 is None


def test_a_table_that_was_named_and_is_none_fails_the_job(services, submit, archive):
    job = submit_import(submit, archive({"a/1.png": 1}), b"title,label\n1,cat\n")
    work(services, job.id, run)
    ended = submit.find(job)
    assert (ended.status, ended.error["code"]) == ("failed", "table_invalid")
    assert ended.error["line"] == 1


def test_a_misspelt_column_is_told_with_the_result(services, submit, archive):
    job = submit_import(submit, archive({"1.png": 1, "labels.csv": b"file,lable\n1.png,cat\n"}))
    work(services, job.id, run)
    assert [warning["code"] for warning in submit.find(job).result["warnings"]] == ["columns_ignored"]


def test_a_folder_with_a_table(services, submit, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "1.png").write_bytes(png(1))
    (folder / "labels.csv").write_bytes(b"file,label\n1.png,cat\n")
    settle(services, sources=SourceSettings(allowed=[f"file://{folder}"]))
    job = submit_import(submit, source=f"file://{folder}")
    work(services, job.id, run)
    assert images(services, job) == {"1.png": ("cat", None)}


def test_tables_larger_than_may_be_are_files_as_others(services, submit, archive):
    settle(services, limits=LimitSettings(table_bytes=10))
    job = submit_import(submit, archive({"1.png": 1, "labels.csv": b"file,label\n1.png,cat\n"}))
    work(services, job.id, run)
    assert verdicts(services, job)["labels.csv"] == ("rejected", "not_an_image")


def test_an_archive_of_nothing_but_empty_folders(services, submit, tmp_path):
    path = tmp_path / "empty.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.mkdir("cat")
        file.mkdir("dog/")
    job = submit_import(submit, path)
    work(services, job.id, run)
    ended = submit.find(job)
    assert (ended.status, ended.total) == ("succeeded", 0)
    assert (ended.result["accepted"], ended.result["rejected"]) == (0, 0)


# --- the exports of other tools --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("export.csv", samples.vertex_csv()),
        ("export.jsonl", samples.vertex_jsonl()),
        ("output.manifest", samples.sagemaker()),
        ("train.manifest", samples.rekognition()),
        ("annotations.json", samples.coco()),
    ],
)
def test_exports_of_other_tools_come_in_whole(services, submit, archive, name, data):
    job = submit_import(submit, archive({f"my-pets/{file}": number for number, file in enumerate(PETS)} | {name: data}))
    work(services, job.id, run)
    assert {file.removeprefix("my-pets/"): label for file, (label, _) in images(services, job).items()} == PETS
    assert submit.find(job).result["rejected"] == 0


def test_a_teachable_machine_project_and_its_samples(services, submit, archive):
    files = {name: number for number, name in enumerate(samples.TEACHABLE_FILES)}
    job = submit_import(submit, archive(files | {"manifest.json": samples.teachable()}), filename="project.tm")
    work(services, job.id, run)
    assert [label for label, _ in images(services, job).values()] == ["cat", "cat", "dog"]
    assert submit.find(job).result["rejected"] == 0
    job = submit_import(submit, archive({"0.png": 5, "1.png": 6}), filename="Guinea pig-samples.zip", name="more")
    work(services, job.id, run)
    assert {label for label, _ in images(services, job).values()} == {"Guinea pig"}


def test_an_azure_project_is_fetched(internet, services, submit):
    document = json.loads(samples.azure())
    internet.answers |= {
        image["originalImageUri"].removeprefix("https://irisprod.example"): sends(png(number))
        for number, image in enumerate(document)
    }
    table = samples.azure().replace(b"https://", b"http://")
    job = submit_import(submit, table=table, table_name="images.json")
    work(services, job.id, run)
    assert [label for label, _ in images(services, job).values()] == list(PETS.values())


# --- the web ---------------------------------------------------------------------------------------------------------


def sends(body, **options):
    return lambda handler: handler.answer(body, **options)


@pytest.fixture
def internet(services):
    """A server that every public address leads to; `private.example` has an address that is not public."""
    addresses = {"private.example": "10.0.0.1", "local.example": "127.0.0.1"}
    settle(services, sources=SourceSettings(hosts=["*"], url_seconds=5, url_connections=4))
    with serving({}) as server:
        web = Web(["*"], 5, lambda host, port: [addresses.get(host, PUBLIC)], Network(server))
        services.sources = Sources(services.settings, web)
        yield server


def test_every_address_of_a_table_gets_a_verdict(internet, services, submit):
    internet.answers |= {
        "/1.png": sends(png(1)),
        "/again.png": sends(png(1)),
        "/2.png?size=large": sends(png(2), kind="application/octet-stream"),
        "/page": sends(b"<html>", kind="text/html"),
        "/lies.png": sends(b"<html>"),
        "/gone.png": sends(b"", status=404),
        "/away.png": sends(b"", status=302, Location="http://private.example/1.png"),
    }
    host = "http://photos.example"
    rows = [
        f"{host}/1.png,cat,train",
        f"{host}/again.png,cat,",
        f"{host}/2.png?size=large,dog,",
        f"{host}/page,cat,",
        f"{host}/lies.png,cat,",
        f"{host}/gone.png,cat,",
        f"{host}/away.png,cat,",
        "http://private.example/1.png,cat,",
        "http://local.example/1.png,cat,",
        "http://photos.example:22/1.png,cat,",
        "file:///etc/passwd,cat,",
        f"{host}/1.png,cat,nonsense",
    ]
    job = submit_import(submit, table="\n".join(["url,label,split", *rows]).encode())
    work(services, job.id, run)
    assert submit.find(job).status == "succeeded"
    assert verdicts(services, job) == {
        f"{host}/1.png": ("accepted", None),
        f"{host}/again.png": ("duplicate", None),
        f"{host}/2.png?size=large": ("accepted", None),
        f"{host}/page": ("rejected", "not_an_image"),
        f"{host}/lies.png": ("rejected", "not_an_image"),
        f"{host}/gone.png": ("rejected", "url_unreachable"),
        f"{host}/away.png": ("rejected", "url_redirected"),
        "http://private.example/1.png": ("rejected", "url_not_public"),
        "http://local.example/1.png": ("rejected", "url_not_public"),
        "http://photos.example:22/1.png": ("rejected", "url_not_allowed"),
        "file:///etc/passwd": ("rejected", "source_not_allowed"),
        "labels.csv, line 13": ("rejected", "table_line_invalid"),
    }
    assert images(services, job)[f"{host}/1.png"] == ("cat", "train")


def test_so_many_are_fetched_at_once_and_no_more(internet, services, submit):
    lock, now, most = threading.Lock(), [0], [0]
    full = threading.Event()

    def counted(body):
        def answer(handler):
            with lock:
                now[0] += 1
                most[0] = max(most[0], now[0])
                if now[0] == 4:
                    full.set()
            full.wait(10)  # until as many are on their way as may be
            handler.answer(body)
            with lock:
                now[0] -= 1

        return answer

    internet.answers |= {f"/{number}.png": counted(png(number)) for number in range(12)}
    urls = "".join(f"http://photos.example/{number}.png\n" for number in range(12))
    job = submit_import(submit, table=f"url\n{urls}".encode())
    work(services, job.id, run)
    assert submit.find(job).result["accepted"] == 12
    assert most == [4]


def test_an_interrupted_import_fetches_only_what_is_missing(internet, services, submit, monkeypatch):
    monkeypatch.setattr("worker.jobs.imports.COMMIT_FILES", 5)
    internet.answers |= {f"/{number}.png": sends(png(number)) for number in range(20)}
    urls = "".join(f"http://photos.example/{number}.png\n" for number in range(20))
    job = submit_import(submit, table=f"url\n{urls}broken,line,here\n".encode())
    real, commits = intake.commit, []

    def dies(*arguments):
        commits.append(1)
        if len(commits) == 3:
            raise RuntimeError("the worker dies")
        return real(*arguments)

    with monkeypatch.context() as dying:
        dying.setattr(intake, "commit", dies)
        work(services, job.id, run)
    assert submit.find(job).status == "queued"
    asked = len(internet.asked)
    work(services, job.id, run)
    assert submit.find(job).result["accepted"] == 20
    again = [path for _, path in internet.asked[asked:]]
    assert sorted(again) == sorted(f"/{number}.png" for number in range(9, 20)), "10 verdicts stood: 1 line, 9 pictures"


# --- hostile input ---------------------------------------------------------------------------------------------------

HOSTILE = {
    "../../evil.png": "unsafe_path",
    "/etc/evil.png": "unsafe_path",
    "C:/evil.png": "unsafe_path",
    "..\\1.png": "unsafe_path",
    "cut at\0here.png": "unsafe_path",
    "cat/more.zip": "nested_archive",
}


@pytest.fixture(params=["sqlite", "postgresql"])
def any_services(request, tmp_path):
    if request.param == "sqlite":
        yield request.getfixturevalue("services")
        return
    database = DatabaseSettings(url=request.getfixturevalue("empty_postgres"))
    services = open_services(make_settings(data=DataSettings(dir=tmp_path), database=database))
    yield services
    services.database.close()


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_whatever_an_archive_holds_it_costs_only_itself_in_every_database(any_services, tmp_path):
    path = tmp_path / "hostile.zip"
    composed, decomposed = (unicodedata.normalize(form, "pâté/寿司 🐟.png") for form in ("NFC", "NFD"))
    table = [
        {"file": "cat/1.png", "label": "cat"},
        {"file": "dog/2.png", "label": "x" * 10_000},
        {"file": "dog/3.png", "label": "nul \0 in it"},
        {"file": "dog/4.png", "label": "half \ud83d of a sign"},
        {"file": "dog/5.png", "label": "dog", "group": "g" * 10_000},
        {"file": "dog/6.png", "label": ["a\0", "b\ud83d"]},
        {"file": "no\0thing\ud83d.png", "label": "dog"},
        {"file": composed, "label": "寿司"},
    ]
    with zipfile.ZipFile(path, "w") as file:
        for number, name in enumerate(["cat/1.png", *(f"dog/{number}.png" for number in range(2, 7)), decomposed]):
            file.writestr(name, png(number))
        file.writestr("cat/1.png", png(50))
        for name in HOSTILE:
            file.writestr(name.replace("\0", "#"), png(60))
        file.writestr("labels.jsonl", samples.lines(*table))
    path.write_bytes(path.read_bytes().replace(b"cut at#here", b"cut at\0here"))
    submit = Submissions(any_services)
    job = submit_import(submit, path, name=f"hostile {any_services.settings.database.url is None}")
    work(any_services, job.id, run)
    ended = submit.find(job)
    assert (ended.status, ended.error) == ("succeeded", None)
    assert images(any_services, job) == {"cat/1.png": ("cat", None), composed: ("寿司", None)}
    with any_services.database.reading() as session:
        rows = import_verdicts.page_verdicts(session, job.id, Window(100)).data
    found = [(row.name[:20], row.error and row.error["code"]) for row in rows]
    assert found[1:6] == [
        ("dog/2.png", "label_refused"),
        ("dog/3.png", "label_refused"),
        ("dog/4.png", "label_refused"),
        ("dog/5.png", "label_refused"),
        ("dog/6.png", "several_labels"),
    ]
    assert found[7] == ("cat/1.png", "duplicate_entry")
    assert found[8:14] == [(name.replace("\0", "\ufffd")[:20], code) for name, code in HOSTILE.items()]
    assert [code for _, code in found[14:]] == ["file_not_sent"]


def test_a_folder_named_by_ten_thousand_characters(any_services, archive):
    submit = Submissions(any_services)
    job = submit_import(submit, archive({"l" * 10_000 + "/1.png": 1, "cat/2.png": 2}), name="long names")
    work(any_services, job.id, run)
    assert [code for _, code in verdicts(any_services, job).values()] == ["label_refused", None]
    assert images(any_services, job) == {"cat/2.png": ("cat", None)}


@pytest.mark.parametrize("kind", ["size", "ratio", "crc"])
def test_an_archive_that_lies_about_a_size_costs_that_file_only(services, submit, tmp_path, kind):
    path = tmp_path / "lies.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("cat/1.png", png(1))
        file.writestr("cat/2.png", bytes(2**22) if kind == "ratio" else png(2))
        file.writestr("cat/3.png", png(3))
    data = bytearray(path.read_bytes())
    entry = data.index(b"PK\1\2", data.index(b"PK\1\2") + 4)
    if kind == "size":
        data[entry + 24 : entry + 28] = struct.pack("<I", 12)
    elif kind == "crc":
        data[entry + 16 : entry + 20] = b"\0\0\0\0"
    path.write_bytes(data)
    job = submit_import(submit, path)
    work(services, job.id, run)
    code = "entry_too_large" if kind == "ratio" else "unreadable_entry"
    assert verdicts(services, job) == {
        "cat/1.png": ("accepted", None),
        "cat/2.png": ("rejected", code),
        "cat/3.png": ("accepted", None),
    }
