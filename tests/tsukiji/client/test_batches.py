import io
import json
import zipfile

import pytest

import tsukiji
from devtools.scripted_service import Answer, job, lines, model, page, prediction, problem
from tests.tsukiji.uploads import record
from tsukiji.client import _files

BATCHES = "/v1/batches"
PARQUET = "application/vnd.apache.parquet"


@pytest.fixture(autouse=True)
def started(service):
    service.answer("POST", BATCHES, Answer(job("queued", "bat_1", "batch"), 202))


def write(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())


def entries(asked):
    with zipfile.ZipFile(io.BytesIO(asked.body)) as archive:
        return {entry.filename: (archive.read(entry), entry.compress_type) for entry in archive.infolist()}


def test_files_keep_their_path_below_the_common_folder(client, service, tmp_path):
    write(tmp_path, "in/a/1.png", "in/a/2.PNG", "in/a/notes.txt", "in/a/.hidden.png")
    client.batches.create(model="pets", images=[tmp_path / "in"], top_k=2, threshold=0.5)
    (asked,) = service.asked
    assert asked.field("custom_ids") == asked.field("files") == ["a/1.png", "a/2.PNG"]
    assert [asked.field(name) for name in ("model", "top_k", "threshold")] == [["pets"], ["2"], ["0.5"]]


def test_a_file_that_is_named_is_sent_whatever_its_name_and_once(client, service, tmp_path):
    write(tmp_path, "a/picture", "a/1.png")
    client.batches.create(model="pets", images=[tmp_path / "a/picture", tmp_path / "a", tmp_path / "a/1.png"])
    assert service.asked[0].field("custom_ids") == ["picture", "1.png"]


HEADS = {
    "jpeg": b"\xff\xd8\xff\xe0" + bytes(20),
    "png": b"\x89PNG\r\n\x1a\n" + bytes(20),
    "webp": b"RIFF\1\1\1\1WEBPVP8 ",
    "heic": b"\0\0\0\x18ftypheic",
    "tiff": b"II*\0" + bytes(20),
}


def test_pictures_without_a_usual_suffix_are_known_by_content_and_the_rest_is_told(client, service, tmp_path):
    named = {
        "0a1b2c": "jpeg",
        "img.jpg?w=640": "jpeg",
        "n.jpg.1": "png",
        "v.img": "webp",
        "x.pjpeg": "heic",
        "y.jpg_": "tiff",
    }
    for name, kind in named.items():
        (tmp_path / name).write_bytes(HEADS[kind])
    write(tmp_path, "w.jpg", "notes.txt", "empty", "@eaDir/w.jpg")
    (tmp_path / "empty").write_bytes(b"")
    batch = client.batches.create(model="pets", images=[tmp_path])
    assert sorted(service.asked[0].field("custom_ids")) == sorted([*named, "w.jpg"])
    told = {warning["code"]: (warning["count"], warning["names"]) for warning in batch.warnings}
    assert told == {"files_passed_over": (2, ["empty", "notes.txt"]), "leftovers_passed_over": (1, ["@eaDir"])}


def test_a_batch_without_pictures_says_what_it_passed_over(client, tmp_path):
    write(tmp_path, "notes.txt")
    with pytest.raises(ValueError, match=r"no pictures.*notes\.txt"):
        client.batches.create(model="pets", images=[tmp_path])


def test_linked_folders_are_classified_too(client, service, tmp_path):
    write(tmp_path, "real/1.png", "shots/2.png")
    (tmp_path / "shots/more").symlink_to("../real")
    (tmp_path / "shots/gone.png").symlink_to("nowhere.png")
    batch = client.batches.create(model="pets", images=[tmp_path / "shots"])
    assert service.asked[0].field("custom_ids") == ["2.png", "more/1.png"]
    assert [warning["names"] for warning in batch.warnings] == [["gone.png"]]


def test_the_code_page_of_an_archive_goes_with_it(client, service, tmp_path):
    write(tmp_path, "old.zip")
    client.batches.create(model="pets", archive=tmp_path / "old.zip", encoding="cp932")
    assert service.asked[0].query["encoding"] == ["cp932"]


def test_more_than_a_request_may_hold_goes_as_a_stored_zip(client, service, tmp_path):
    names = [f"{number:03}.png" for number in range(101)]
    write(tmp_path, *names)
    client.batches.create(model="my pets", images=[tmp_path], top_k=1)
    (asked,) = service.asked
    assert asked.headers["content-type"] == "application/zip"
    assert asked.query == {"model": ["my pets"], "top_k": ["1"], "threshold": ["0.0"]}
    assert entries(asked) == {name: (name.encode(), zipfile.ZIP_STORED) for name in names}


def test_too_many_bytes_go_as_a_zip_too(client, service, tmp_path, monkeypatch):
    monkeypatch.setattr(_files, "REQUEST_BYTES", 2**20 + 10)
    write(tmp_path, "a/long enough.png", "b.png")
    client.batches.create(model="pets", images=[tmp_path])
    assert sorted(entries(service.asked[0])) == ["a/long enough.png", "b.png"]


def test_a_zip_goes_as_it_is_also_the_second_time(client, service, tmp_path):
    write(tmp_path, "some.zip")
    service.answer("POST", BATCHES, problem(503, "busy"), Answer(job("queued", "bat_1", "batch"), 202))
    client.batches.create(model="pets", archive=tmp_path / "some.zip")
    assert [asked.body for asked in service.asked] == [b"some.zip", b"some.zip"]


def test_a_split_of_a_data_set(client, service):
    service.answer("GET", "/v1/models/pets", model())
    client.batches.create(model=client.models.get("pets"), dataset="dst_1", split="valid")
    wanted = {"model": "mdl_1", "top_k": 3, "threshold": 0.0, "input": {"dataset": "dst_1", "split": "valid"}}
    assert service.asked[-1].json == wanted


@pytest.mark.parametrize(("name", "kind"), [("a.tar", "x-tar"), ("a.tar.gz", "gzip"), ("a.TGZ", "gzip")])
def test_a_tar_says_what_it_is(client, service, tmp_path, name, kind):
    write(tmp_path, name)
    client.batches.create(model="pets", archive=tmp_path / name)
    assert service.asked[0].headers["content-type"] == f"application/{kind}"


def test_a_manifest_goes_as_it_is(client, service, tmp_path):
    write(tmp_path, "some.jsonl")
    client.batches.create(model="pets", manifest=tmp_path / "some.jsonl", top_k=1)
    (asked,) = service.asked
    assert (asked.headers["content-type"], asked.body) == ("application/jsonl", b"some.jsonl")
    assert asked.query["top_k"] == ["1"]


def test_a_source_is_named(client, service):
    client.batches.create(model="pets", source="file:///photos")
    assert service.asked[0].json["input"] == {"source": "file:///photos"}


@pytest.mark.parametrize("sources", [{}, {"images": ["a"], "dataset": "b"}])
def test_one_source_and_no_more(client, sources):
    with pytest.raises(ValueError, match="exactly one"):
        client.batches.create(model="pets", **sources)


def test_no_pictures_and_no_such_path(client, tmp_path):
    with pytest.raises(ValueError, match="no pictures"):
        client.batches.create(model="pets", images=[tmp_path])
    with pytest.raises(FileNotFoundError):
        client.batches.create(model="pets", images=[tmp_path / "missing.png"])


@pytest.fixture
def batch(client, service):
    service.answer("GET", f"{BATCHES}/bat_1", job("succeeded", "bat_1", "batch"))
    return client.batches.get("bat_1")


def test_results_stream_as_predictions(batch, service):
    bad = prediction("b.png", None, status="errored", error={"code": "truncated", "title": "cut"})
    service.answer("GET", f"{BATCHES}/bat_1/results", lines(prediction("a.png"), bad))
    found = list(batch.results())
    assert [(one.custom_id, one.label, one.error and one.error.code) for one in found] == [
        ("a.png", "cat", None),
        ("b.png", None, "truncated"),
    ]
    assert service.asked[-1].headers["accept"] == "application/jsonl"


def test_results_that_break_off_are_an_error(batch, service):
    service.answer("GET", f"{BATCHES}/bat_1/results", Answer(lines(prediction()), cut=True))
    with pytest.raises(tsukiji.APIConnectionError):
        list(batch.results())


@pytest.mark.parametrize(
    ("name", "kind"), [("out.csv", "text/csv"), ("out.jsonl", "application/jsonl"), ("out.parquet", PARQUET)]
)
def test_a_download_asks_for_the_format_of_the_ending(batch, service, tmp_path, name, kind):
    service.answer("GET", f"{BATCHES}/bat_1/results", b"content")
    assert batch.download(tmp_path / name).read_bytes() == b"content"
    assert service.asked[-1].headers["accept"] == kind


def test_a_download_that_breaks_off_leaves_what_was_there(batch, service, tmp_path):
    target = tmp_path / "out.csv"
    target.write_text("old")
    service.answer("GET", f"{BATCHES}/bat_1/results", Answer(b"half", cut=True))
    with pytest.raises(tsukiji.APIConnectionError):
        batch.download(target)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_other_formats_are_refused(batch, tmp_path):
    with pytest.raises(ValueError, match=r"\.csv, \.jsonl, \.parquet"):
        batch.download(tmp_path / "out.xlsx")


def test_items_by_status(batch, service):
    service.answer("GET", f"{BATCHES}/bat_1/items", page(prediction()))
    assert [item.custom_id for item in batch.items(status="succeeded")] == ["a.png"]
    assert service.asked[-1].query == {"status": ["succeeded"]}


def test_results_are_chosen_by_what_the_service_knows(batch, service, tmp_path):
    service.answer("GET", f"{BATCHES}/bat_1/results", lines(prediction()))
    wanted = {"decision": "cat", "abstained": False, "min_score": 0.5, "order": "score"}
    sent = {"decision": ["cat"], "abstained": ["false"], "min_score": ["0.5"], "order": ["score"]}
    assert len(list(batch.results(**wanted))) == 1
    assert service.asked[-1].query == sent
    batch.download(tmp_path / "all.parquet", probabilities=True, **wanted)
    assert service.asked[-1].query == sent | {"probabilities": ["true"]}


def test_a_summary_by_other_thresholds(batch, service):
    counts = {"total": 3, "queued": 0, "succeeded": 2, "errored": 1}
    label = {"label": "cat", "images": 2, "decisions": 1}
    errors = [{"code": "truncated", "images": 1}]
    body = {"counts": counts, "labels": [label], "none_of_these": 0, "below_threshold": 1, "errors": errors}
    service.answer("GET", f"{BATCHES}/bat_1/summary", body)
    found = batch.summary(threshold=0.8)
    assert (found.labels[0].decisions, found.errors[0].code, found.counts.succeeded) == (1, "truncated", 2)
    assert service.asked[-1].query == {"threshold": ["0.8"]}


def test_deleted_results(client, batch, service):
    service.answer("DELETE", f"{BATCHES}/bat_1", Answer(None, 204))
    service.answer("DELETE", "/v1/jobs/bat_1", Answer(None, 204))
    service.answer("GET", f"{BATCHES}/bat_1/results", problem(410, "results_deleted"))
    batch.delete()
    client.jobs.delete("bat_1")
    with pytest.raises(tsukiji.GoneError):
        list(batch.results())


def test_how_long_results_are_kept(client, service, tmp_path):
    write(tmp_path, "1.png")
    client.batches.create(model="pets", images=[tmp_path], retention_days=2.5)
    assert service.asked[0].field("retention_days") == ["2.5"]


def test_a_target_is_sent_and_what_was_promised_is_fetched(client, service, tmp_path):
    write(tmp_path, "1.png")
    promised = {"batch_id": "bat_1", "model_id": "mdl_1", "target_error": 0.02, "confidence": 0.9, "threshold": 0.8}
    checks = [{"seq": 3, "custom_id": "1.png", "decision": "cat"}]
    service.answer("GET", f"{BATCHES}/bat_1/guarantee", promised | {"status": "promised", "checks": checks})
    options = {"target_error": 0.02, "confidence": 0.9, "prediction_set": 0.95}
    batch = client.batches.create(model="pets", images=[tmp_path / "1.png"], **options)
    assert {name: service.asked[0].field(name) for name in options} == {
        name: [str(value)] for name, value in options.items()
    }
    found = batch.guarantee()
    assert (found.status, found.checks[0].custom_id) == ("promised", "1.png")


def test_a_prediction_and_an_alias_take_a_target(client, service):
    service.answer("POST", "/v1/models/pets/predict", {"model": "mdl_1", "predictions": [prediction("1.png")]})
    client.predict(b"picture", "pets", target_error=0.01, prediction_set=0.9)
    asked = service.asked[-1]
    assert (asked.field("target_error"), asked.field("prediction_set")) == (["0.01"], ["0.9"])
    record = {"name": "careful", "model_id": "mdl_1", "target_error": 0.01, "updated_at": "2026-01-01T00:00:00Z"}
    service.answer("PUT", "/v1/aliases/careful", record)
    assert client.aliases.set("careful", "mdl_1", target_error=0.01).target_error == 0.01
    assert service.asked[-1].json == {"model": "mdl_1", "target_error": 0.01, "confidence": 0.95}


def test_results_may_be_parquet_whatever_the_input(client, service, tmp_path):
    write(tmp_path, "in/1.png", "in/2.png", "lines.jsonl")
    service.answer("POST", "/v1/uploads", record(status="completed"))
    own = "s3://theirs/results"
    client.batches.create(model="pets", source="s3://photos", output="parquet")
    client.batches.create(model="pets", images=[tmp_path / "in"], output="parquet")
    client.batches.create(model="pets", manifest=tmp_path / "lines.jsonl", output=own)
    source, images, manifest = (json.loads(asked.body) for asked in service.asked if asked.path == BATCHES)
    assert (source["input"], source["output"]) == ({"source": "s3://photos"}, {"to": "parquet"})
    assert (images["input"], images["output"]) == ({"upload": "upl_1"}, {"to": "parquet"})
    assert (manifest["input"], manifest["output"]) == ({"manifest": "upl_1"}, {"to": "parquet", "url": own})


def test_parts_are_saved_in_a_folder(client, service, tmp_path):
    facts = {
        "name": "part-0000000000-1.parquet",
        "first_seq": 0,
        "succeeded": 2,
        "errored": 0,
        "bytes": 4,
        "sha256": "0",
    }
    service.answer("GET", f"{BATCHES}/bat_1", job("succeeded", "bat_1", "batch"))
    service.answer("GET", f"{BATCHES}/bat_1/parts", page(facts))
    service.answer("GET", f"{BATCHES}/bat_1/parts/0", Answer(b"PAR1", headers={"content-type": PARQUET}))
    folder = client.batches.get("bat_1").save_parts(tmp_path / "out")
    assert (folder / facts["name"]).read_bytes() == b"PAR1"


def test_a_batch_is_a_data_frame(client, service):
    pytest.importorskip("pandas")
    service.answer("GET", f"{BATCHES}/bat_1", job("succeeded", "bat_1", "batch"))
    service.answer("GET", f"{BATCHES}/bat_1/results", lines(prediction("a.png"), prediction("b.png")))
    assert list(client.batches.get("bat_1").to_pandas()["custom_id"]) == ["a.png", "b.png"]
