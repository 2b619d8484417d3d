"""Imports as the API takes them: tables, addresses, options; and what became of the files, counted and downloaded."""

import csv
import io
import json
import unicodedata

import pytest
from sqlalchemy import update

from db.clock import now
from db.curation import import_verdicts
from db.models import Job
from tests.api.conftest import archive, limited
from tests.api.test_uploads import sent
from tsukiji.kernel.settings import SourceSettings

CSV = {"Content-Type": "text/csv"}
TABLE = b"file,label\n1.png,cat\n"


@pytest.fixture
def place(dataset):
    return f"/v1/datasets/{dataset}/imports"


def row(services, answer):
    assert answer.status_code == 202, answer.json()
    with services.database.reading() as session:
        return session.get(Job, answer.json()["id"])


def allow(services, **sources):
    services.settings = services.settings.model_copy(update={"sources": SourceSettings(**sources)})


# --- what may be sent ------------------------------------------------------------------------------------------------


def test_a_table_beside_an_archive(client, services, place):
    pictures, table = sent(client, archive({"1.png": b"x"})), sent(client, TABLE)
    answer = client.post(place, json={"upload": pictures["id"], "table": table["id"], "label": "pet"})
    job = row(services, answer)
    assert services.store.read(job.table_sha256) == TABLE
    assert job.upload_sha256 == pictures["sha256"]
    wanted = {"filename": "pets.zip", "table": "pets.zip.csv", "options": {"label": "pet"}}
    assert job.request == {"dataset": job.dataset_id, **wanted}
    assert services.notifier.sent == ["intake"]


def test_a_table_beside_a_folder(client, services, place):
    allow(services, allowed=["file:///photos"])
    table = sent(client, TABLE)
    job = row(services, client.post(place, json={"source": "file:///photos/2026", "table": table["id"]}))
    assert (job.request["source"], job.upload_sha256) == ("file:///photos/2026", None)
    assert services.store.read(job.table_sha256) == TABLE


@pytest.mark.parametrize(
    ("kind", "filename", "name"),
    [
        ("text/csv", "birds.csv", "birds.csv"),
        ("text/csv; charset=utf-8", None, "table.csv"),
        ("application/jsonl", "birds", "birds.jsonl"),
        ("application/x-ndjson", "birds.csv", "birds.csv.jsonl"),
    ],
)
def test_a_table_as_the_body(client, services, place, kind, filename, name):
    params = {"filename": filename, "format": "table", "column": ["label:species", "file:id"], "split": "test"}
    params["folder"] = ["train:label", "a:b/c:none"]
    answer = client.post(place, params=params, content=TABLE, headers={"Content-Type": kind})
    job = row(services, answer)
    options = {"format": "table", "columns": {"label": "species", "file": "id"}, "split": "test"}
    options["folders"] = {"train": "label", "a:b/c": "none"}
    assert job.request == {"dataset": job.dataset_id, "table": name, "options": options}
    assert services.store.read(job.table_sha256) == TABLE


def test_options_of_an_archive_as_the_body(client, services, place):
    params = {"label": unicodedata.normalize("NFD", " pâté "), "group": "Felix", "format": "folders"}
    headers = {"Content-Type": "application/zip"}
    job = row(services, client.post(place, params=params, content=archive({"1.png": b"x"}), headers=headers))
    assert job.request["options"] == {"label": "pâté", "group": "Felix", "format": "folders"}


# What Windows, browsers and curl call a zip, which only its bytes can say.
TYPES = [
    "application/x-zip-compressed",
    "application/octet-stream",
    "application/x-www-form-urlencoded",
    "application/x-tar; charset=binary",
    "text/plain",
    None,
]


@pytest.mark.parametrize("kind", TYPES)
def test_an_archive_is_known_by_its_bytes(client, services, place, kind):
    data = archive({"1.png": b"x"})
    headers = {"Content-Type": kind} if kind else {}
    job = row(services, client.post(place, params={"filename": "a.zip"}, content=data, headers=headers))
    assert services.store.read(job.upload_sha256) == data
    pieces = (data[at : at + 7] for at in range(0, len(data), 7))
    assert services.store.read(row(services, client.post(place, content=pieces, headers=headers)).upload_sha256) == data


@pytest.mark.parametrize("kind", ["application/octet-stream", "application/x-www-form-urlencoded", None])
def test_what_is_no_archive_by_type_and_bytes_is_told_what_to_send(client, services, place, kind):
    kept = dict(services.store.blobs)
    for data in (b"", b'{"urls": []}', b"file,label\n", b"\xff\xd8\xff" + bytes(2000)):
        answer = client.post(place, content=data, headers={"Content-Type": kind} if kind else {})
        assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
        assert "application/zip" in answer.json()["detail"]
    assert services.store.blobs == kept


def test_the_code_page_of_an_archive(client, services, place):
    headers = {"Content-Type": "application/zip"}
    answer = client.post(place, params={"encoding": "MS932", "label": "a"}, content=archive({}), headers=headers)
    assert row(services, answer).request["options"] == {"label": "a", "encoding": "cp932"}
    upload = sent(client, archive({}))
    answer = client.post(place, json={"upload": upload["id"], "encoding": "GBK"})
    assert row(services, answer).request["options"] == {"encoding": "gbk"}


@pytest.mark.parametrize("encoding", ["klingon", "rot13", "idna", "unicode_escape", "utf-7", "a/../b"])
def test_what_is_no_code_page_is_refused(client, place, encoding):
    answer = client.post(place, params={"encoding": encoding}, content=archive({}))
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["parameter"] == "encoding"
    assert "cp932" in answer.json()["errors"][0]["detail"]


def test_addresses_are_kept_as_a_table(client, services, place):
    allow(services, hosts=["*"])
    urls = ["https://photos.example/1.jpg", "https://photos.example/2.jpg", 'https://photos.example/"3".jpg']
    job = row(services, client.post(place, json={"urls": urls, "label": "bear"}))
    lines = services.store.read(job.table_sha256).splitlines()
    assert [json.loads(line) for line in lines] == [{"url": url} for url in urls]
    assert job.request == {"dataset": job.dataset_id, "table": "urls.jsonl", "options": {"label": "bear"}}


def test_nothing_is_fetched_from_the_web_by_default(client, services, place):
    answer = client.post(place, json={"urls": ["https://photos.example/1.jpg"]})
    assert (answer.status_code, answer.json()["code"]) == (422, "url_not_allowed")
    assert "TSUKIJI_SOURCES_HOSTS" in answer.json()["hint"]
    assert services.notifier.sent == []


@pytest.mark.parametrize(
    "wish",
    [
        {},
        {"upload": "upl_1", "source": "file:///photos"},
        {"upload": "upl_1", "source": "file:///photos", "table": "upl_2"},
        {"urls": ["https://photos.example/1.jpg"], "table": "upl_2"},
        {"urls": []},
        {"urls": ["x" * 2001]},
        {"table": "upl_1", "format": "excel"},
        {"table": "upl_1", "columns": {"size": "x"}},
        {"table": "upl_1", "folders": {"train": "class"}},
        {"table": "upl_1", "label": "x" * 201},
        {"table": "upl_1", "split": "holdout"},
        {"table": "upl_1", "lable": "cat"},
    ],
)
def test_wishes_that_make_no_sense(client, place, wish):
    answer = client.post(place, json=wish)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


@pytest.mark.parametrize("params", [{"column": "size:x"}, {"label": "x" * 201}, {"split": "x"}, {"format": "excel"}])
def test_options_in_the_query_that_make_no_sense(client, place, params):
    answer = client.post(place, params=params, content=TABLE, headers=CSV)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


def test_a_table_that_is_too_large_is_refused(client, services, settings, place):
    table = sent(client, TABLE)
    services.settings = limited(services.settings, table_bytes=10)
    answer = client.post(place, json={"table": table["id"]})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    headers = CSV | {"Content-Length": str(settings.limits.table_bytes + 1)}
    assert client.post(place, content=TABLE, headers=headers).status_code == 413


def test_another_kind_of_body_says_what_to_send(client, place):
    answer = client.post(place, content=TABLE, headers={"Content-Type": "text/plain"})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    assert "text/csv" in answer.json()["detail"]


def test_the_same_request_again_is_the_same_import(client, place):
    headers = CSV | {"Idempotency-Key": "one"}
    first, again = (client.post(place, content=TABLE, headers=headers) for _ in range(2))
    assert first.json()["id"] == again.json()["id"]
    assert client.post(place, content=TABLE + b"2.png,dog\n", headers=headers).status_code == 422
    other = client.post(place, params={"label": "pet"}, content=TABLE, headers=headers)
    assert other.json()["code"] == "idempotency_key_reused"


# --- what became of the files ----------------------------------------------------------------------------------------


@pytest.fixture
def settled(client, services, place):
    """An import whose files have their verdicts."""
    job = row(services, client.post(place, content=TABLE, headers=CSV))
    cut = {"code": "truncated", "title": "cut short", "detail": "It ends too soon.", "hint": "Send it again."}
    missing = {"code": "file_not_sent", "title": "not there", "detail": "labels.csv, line 7", "line": 7}
    verdicts = [
        {"name": "1.png", "verdict": "accepted", "label": "cat", "image_id": "img_1", "error": None},
        {"name": "2.png", "verdict": "duplicate", "label": "cat", "image_id": "img_1", "error": None},
        {"name": "3.png", "verdict": "rejected", "label": "cat", "image_id": None, "error": cut},
        {"name": "=4.png", "verdict": "rejected", "label": None, "image_id": None, "error": missing},
        {"name": "5.png", "verdict": "rejected", "label": None, "image_id": None, "error": missing},
    ]
    with services.database.transaction() as session:
        import_verdicts.add_verdicts(session, job.id, [{"seq": seq, **one} for seq, one in enumerate(verdicts)])
    return f"/v1/imports/{job.id}"


def test_verdicts_are_counted(client, settled):
    assert client.get(f"{settled}/summary").json() == {
        "accepted": 1,
        "duplicates": 1,
        "rejected": 3,
        "errors": [{"code": "file_not_sent", "images": 2}, {"code": "truncated", "images": 1}],
    }
    assert client.get("/v1/imports/imp_no/summary").status_code == 404


def test_verdicts_are_listed_by_reason(client, settled):
    found = client.get(f"{settled}/items", params={"error": "file_not_sent", "limit": 1}).json()
    assert [item["name"] for item in found["data"]] == ["=4.png"]
    found = client.get(f"{settled}/items", params={"error": "file_not_sent", "cursor": found["next_cursor"]}).json()
    assert [(item["name"], item["error"]["line"]) for item in found["data"]] == [("5.png", 7)]


def test_verdicts_are_downloaded_as_json_lines(client, settled, monkeypatch):
    monkeypatch.setattr("api.serialize.import_verdicts.PAGE_ROWS", 2)
    answer = client.get(f"{settled}/results")
    assert answer.headers["content-type"] == "application/jsonl"
    assert answer.headers["content-disposition"].endswith('.jsonl"')
    rows = [json.loads(line) for line in answer.text.splitlines()]
    assert [line["verdict"] for line in rows] == ["accepted", "duplicate", "rejected", "rejected", "rejected"]
    assert rows[3]["error"]["line"] == 7
    chosen = client.get(f"{settled}/results", params={"verdict": "accepted"}).text.splitlines()
    assert [json.loads(line)["name"] for line in chosen] == ["1.png"]


@pytest.mark.parametrize("how", [{"params": {"format": "csv"}}, {"headers": {"Accept": "text/csv"}}])
def test_verdicts_are_downloaded_as_csv(client, settled, how):
    answer = client.get(f"{settled}/results", **how)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    head, *rows = csv.reader(io.StringIO(answer.text))
    assert head == ["name", "verdict", "label", "image_id", "error", "line", "detail", "hint"]
    assert rows[0] == ["1.png", "accepted", "cat", "img_1", "", "", "", ""]
    assert rows[2] == ["3.png", "rejected", "cat", "", "truncated", "", "It ends too soon.", "Send it again."]
    assert rows[3][0] == "'=4.png", "a spreadsheet runs no formula"


def test_links_lead_to_them(client, settled):
    links = client.get(settled).json()["links"]
    assert {links[name] for name in ("items", "results", "summary")} == {
        f"{settled}/{name}" for name in ("items", "results", "summary")
    }


@pytest.mark.parametrize("part", ["items", "summary", "results"])
def test_verdicts_whose_time_is_over_are_gone_and_the_import_stays(client, services, settled, part):
    import_id = settled.rpartition("/")[2]
    with services.database.transaction() as session:
        session.execute(update(Job).where(Job.id == import_id).values(results_deleted_at=now()))
    answer = client.get(f"{settled}/{part}")
    assert (answer.status_code, answer.json()["code"]) == (410, "results_deleted")
    assert client.get(settled).status_code == 200
