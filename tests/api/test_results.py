"""Results: chosen, counted, as a file of each format, deleted."""

import csv
import io
import json
import struct

import pyarrow as pa
import pytest
from pyarrow import parquet
from sqlalchemy import update

from api.serialize import parquet as writer
from api.serialize import results as streams
from api.serialize.result_filters import Selection
from api.serialize.thresholds import AS_ASKED
from db.clock import now
from db.jobs import batches
from db.models import Job
from tests.api.conftest import LABELS, as_files, claim_chunk, pictures, work
from tsukiji.errors import ResultsDeleted
from worker.dispatcher import purge

SHARES = ((0.1, 0.2, 0.7), (0.55, 0.4, 0.05), (0.3, 0.31, 0.39), (0.05, 0.9, 0.05), (0.0, 0.02, 0.98))
KNOWN = (0.5, 0.9, 0.5, 0.01, None)
PARQUET = "application/vnd.apache.parquet"


def start(client, model, images, **form):
    answer = client.post("/v1/batches", files=as_files(pictures(images)), data={"model": model, "top_k": "2", **form})
    assert answer.status_code == 202, answer.text
    return answer.json()


def finish(services, rows):
    """End the one chunk that was sent with these (probabilities, known score); None is an image that failed."""
    with services.database.transaction() as session:
        claimed = claim_chunk(session)
        found = []
        for item, row in zip(batches.items_of(session, claimed), rows, strict=True):
            blank = batches.blank_prediction(item.seq)
            if row is None:
                found.append(blank | {"error": {"code": "truncated", "title": "cut", "detail": "cut short"}})
                continue
            shares, known = row
            best = max(range(len(shares)), key=shares.__getitem__)
            blob = struct.pack(f"<{len(shares)}f", *shares)
            found.append(
                blank
                | {"label": LABELS[best], "score": shares[best], "known_score": known, "probabilities": blob}
                | {"width": 24, "height": 20}
            )
        assert batches.finish_chunk(session, claimed, found)


@pytest.fixture
def batch(client, services, model):
    """Tuna, eel, tuna, squid (which resembles nothing known), tuna, and one that failed."""
    job = start(client, model, 6, threshold="0.5")
    finish(services, [*zip(SHARES, KNOWN, strict=True), None])
    return client.get(job["links"]["self"]).json()


CASES = [
    ({"label": "tuna"}, [0, 2, 4]),
    ({"decision": "tuna"}, [0, 4]),
    ({"decision": "tuna", "threshold": 0.2}, [0, 2, 4]),
    ({"abstained": True}, [2, 3]),
    ({"abstained": True, "min_known": 0}, [2]),
    ({"abstained": False}, [0, 1, 4]),
    ({"min_score": 0.5, "max_score": 0.7}, [0, 1]),
    ({"status": "errored"}, [5]),
    ({"error": "truncated"}, [5]),
    ({"error": "other"}, []),
    ({"status": "cancelled"}, []),
    ({"order": "score"}, [2, 1, 0, 3, 4]),
    ({"order": "-score", "label": "tuna"}, [4, 0, 2]),
    ({"true_label": "tuna"}, []),
]


@pytest.mark.parametrize(("wishes", "expected"), CASES)
def test_a_page_and_every_stream_hold_the_same(client, batch, wishes, expected):
    names = [f"{seq}.png" for seq in expected]
    page, cursor = [], {}
    while cursor is not None:
        answer = client.get(batch["links"]["items"], params=wishes | {"limit": 2} | cursor).json()
        page += answer["data"]
        cursor = {"cursor": answer["next_cursor"]} if answer["has_more"] else None
    assert [row["seq"] for row in page] == expected
    results = batch["links"]["results"]
    lines = client.get(results, params=wishes).text.splitlines()
    assert [json.loads(line) for line in lines] == page
    table = list(csv.DictReader(io.StringIO(client.get(results, params=wishes | {"format": "csv"}).text)))
    assert [row["custom_id"] for row in table] == names
    assert read(client, results, **wishes)["custom_id"].to_pylist() == names
    if "decision" in wishes:
        assert {row["decision"] for row in page} == {wishes["decision"]}
    if "abstained" in wishes:
        assert {row["abstained"] for row in page} == {wishes["abstained"]}


def read(client, url, **params):
    answer = client.get(url, params=params, headers={"Accept": PARQUET})
    assert answer.headers["content-type"] == PARQUET
    return parquet.read_table(io.BytesIO(answer.content))


def test_parquet_is_typed_and_says_what_the_others_say(client, batch):
    table = read(client, batch["links"]["results"], probabilities=True)
    kinds = {field.name: str(field.type) for field in table.schema}
    assert kinds == {
        **dict.fromkeys(
            ["custom_id", "status", "decision", "best_label", "abstain_reason", "true_label", "error"], "string"
        ),
        **dict.fromkeys(["score", "known_score", "score_1", "score_2"], "double"),
        **dict.fromkeys(["label_1", "label_2"], "string"),
        **dict.fromkeys(["width", "height"], "int32"),
        **dict.fromkeys(["p_eel", "p_squid", "p_tuna"], "float"),
    }
    head = "custom_id,status,decision,best_label,score,known_score,abstain_reason,"
    assert ",".join(table.schema.names).startswith(head)
    text = client.get(batch["links"]["results"], params={"format": "csv"}).text
    assert text.startswith(head)
    undecided = list(csv.DictReader(io.StringIO(text)))[2]
    assert (undecided["decision"], undecided["best_label"]) == ("", table.to_pylist()[2]["best_label"])
    assert all(
        len(cell.partition(".")[2]) <= 6 for row in csv.reader(io.StringIO(text)) for cell in row if "." in cell[:2]
    )
    rows = table.to_pylist()
    assert [row["status"] for row in rows] == ["succeeded"] * 5 + ["errored"]
    assert [row["decision"] for row in rows] == ["tuna", "eel", None, None, "tuna", None]
    assert [row["abstain_reason"] for row in rows] == [None, None, "below_threshold", "none_of_these", None, None]
    assert (rows[1]["label_2"], rows[1]["score_2"]) == ("squid", pytest.approx(0.4))
    assert [rows[1][f"p_{label}"] for label in LABELS] == pytest.approx(SHARES[1])
    assert (rows[5]["error"], rows[5]["score"], rows[5]["p_eel"], rows[5]["width"]) == ("truncated", None, None, None)
    lines = client.get(batch["links"]["results"], params={"probabilities": True}).text.splitlines()
    assert json.loads(lines[1])["probabilities"] == pytest.approx(SHARES[1])
    text = client.get(batch["links"]["results"], params={"probabilities": True, "format": "csv"}).text
    assert float(list(csv.DictReader(io.StringIO(text)))[1]["p_squid"]) == pytest.approx(0.4)


def test_parquet_comes_row_group_by_row_group(client, batch, monkeypatch):
    monkeypatch.setattr(writer, "GROUP_ROWS", 4)
    monkeypatch.setattr(streams, "PAGE_ROWS", 3)
    answer = client.get(batch["links"]["results"], params={"format": "parquet"})
    file = parquet.ParquetFile(io.BytesIO(answer.content))
    assert [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)] == [4, 2]
    assert answer.headers["content-disposition"] == f'attachment; filename="{batch["id"]}.parquet"'


def test_a_file_of_nothing_has_its_columns(client, services, model):
    url = start(client, model, 1)["links"]["results"]
    table = read(client, url)
    assert (table.num_rows, table.schema.field("score").type) == (0, pa.float64())
    assert client.get(url).text == ""
    assert client.get(url, params={"format": "csv"}).text.startswith("custom_id,status,")


def test_with_many_labels_the_best_stands_exactly_and_first(client, services, model):
    names = [f"kind {number}" for number in range(200)]
    job = start(client, model, 1)
    with services.database.transaction() as session:
        request = session.get(Job, job["id"]).request | {"label_names": names}
        session.execute(update(Job).where(Job.id == job["id"]).values(request=request))
    score = 0.40003
    with services.database.transaction() as session:
        claimed = claim_chunk(session)
        shares = [0.39999, score, *[0.2 / 198] * 198]
        row = batches.blank_prediction(0) | {"label": "kind 1", "score": score}
        row["probabilities"] = struct.pack("<200f", *shares)
        batches.finish_chunk(session, claimed, [row])
    found = json.loads(client.get(job["links"]["results"], params={"probabilities": True}).text)
    assert found["scores"][0] == {"label": "kind 1", "score": pytest.approx(score, abs=1e-7)}
    assert found["scores"][1]["label"] == "kind 0"
    assert found["probabilities"] == pytest.approx(shares, abs=0.00013)


def test_how_many_of_each(client, batch):
    summary = client.get(batch["links"]["summary"]).json()
    assert summary["labels"] == [
        {"label": "tuna", "images": 3, "decisions": 2},
        {"label": "eel", "images": 1, "decisions": 1},
        {"label": "squid", "images": 1, "decisions": 0},
    ]
    assert (summary["none_of_these"], summary["below_threshold"]) == (1, 1)
    assert summary["errors"] == [{"code": "truncated", "images": 1}]
    assert (summary["counts"]["succeeded"], summary["counts"]["errored"]) == (5, 1)
    anew = client.get(batch["links"]["summary"], params={"threshold": 0, "min_known": 0}).json()
    assert [row["decisions"] for row in anew["labels"]] == [3, 1, 1]


def test_a_cursor_belongs_to_its_filters(client, batch):
    first = client.get(batch["links"]["items"], params={"order": "score", "limit": 2}).json()
    for other in ({"order": "-score"}, {"order": "score", "threshold": 0.9}, {"order": "score", "label": "tuna"}):
        answer = client.get(batch["links"]["items"], params=other | {"limit": 2, "cursor": first["next_cursor"]})
        assert answer.status_code == 422


@pytest.mark.parametrize("wrong", [{"order": "label"}, {"min_score": 2}, {"status": "done"}, {"format": "xlsx"}])
def test_wrong_filters_are_named(client, batch, wrong):
    answer = client.get(batch["links"]["results"], params=wrong)
    assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (422, *wrong)


# --- deleting --------------------------------------------------------------------------------------------------------


def test_deleted_results_are_gone_at_once_and_the_batch_stays(client, services, batch):
    assert client.delete(batch["links"]["self"]).status_code == 204
    for name in ("results", "items", "summary"):
        answer = client.get(batch["links"][name])
        assert (answer.status_code, answer.json()["code"]) == (410, "results_deleted")
    job = client.get(batch["links"]["self"]).json()
    assert job["results_deleted_at"]
    assert job["counts"] == batch["counts"]
    assert "results" not in job["links"]
    assert client.delete(batch["links"]["self"]).status_code == 204
    purge(services)
    assert client.get(batch["links"]["results"]).status_code == 410
    assert client.get("/v1/batches").json()["data"][0]["id"] == batch["id"]


def test_what_runs_is_not_deleted(client, model):
    job = start(client, model, 1)
    answer = client.delete(job["links"]["self"])
    assert (answer.status_code, answer.json()["code"]) == (409, "job_not_done")
    assert answer.headers["x-should-retry"] == "false"
    client.post(job["links"]["cancel"])
    assert client.delete(job["links"]["self"]).status_code == 204
    assert client.delete("/v1/batches/bat_none").status_code == 404


def test_a_stream_that_is_deleted_meanwhile_breaks_off(client, services, batch, monkeypatch):
    monkeypatch.setattr(streams, "PAGE_ROWS", 2)
    monkeypatch.setattr(writer, "GROUP_ROWS", 2)
    with services.database.reading() as session:
        found = streams.Results(services, session.get(Job, batch["id"]), Selection(AS_ASKED))
    pieces = found.json_lines()
    next(pieces)
    client.delete(batch["links"]["self"])
    with pytest.raises(ResultsDeleted):
        list(pieces)


def test_a_batch_says_how_long_its_results_are_kept(client, services, model):
    job = start(client, model, 2, retention_days="0.5")
    assert job["results_expire_at"] is None
    work(services)
    done = client.get(job["links"]["self"]).json()
    assert done["results_expire_at"] > done["finished_at"]
    assert done["request"]["retention_days"] == 0.5
    assert len(client.get(job["links"]["results"]).text.splitlines()) == 2
    with services.database.transaction() as session:
        session.execute(update(Job).where(Job.id == job["id"]).values(results_expire_at=now(-1)))
    purge(services)
    gone = client.get(job["links"]["results"])
    assert (gone.status_code, gone.json()["code"]) == (410, "results_deleted")
    after = client.get(job["links"]["self"]).json()
    assert (after["results_expire_at"], after["counts"]) == (None, done["counts"])


def test_the_settings_say_it_where_the_batch_does_not(client, services, model):
    retention = services.settings.retention.model_copy(update={"batch_days": 3})
    services.settings = services.settings.model_copy(update={"retention": retention})
    kept, usual = start(client, model, 1, retention_days="0"), start(client, model, 1)
    work(services)
    assert client.get(kept["links"]["self"]).json()["results_expire_at"] is None
    assert client.get(usual["links"]["self"]).json()["results_expire_at"]


def test_a_prediction_is_deleted_too(client, services, model):
    job = client.post(f"/v1/models/{model}/predict", files=as_files(pictures(1)), headers={"Prefer": "wait=0.1"}).json()
    work(services)
    assert client.get(job["links"]["self"]).json()["result"]["predictions"]
    assert client.get(job["links"]["self"]).json()["results_expire_at"], "seven days by default"
    assert client.delete(job["links"]["self"]).status_code == 204
    after = client.get(job["links"]["self"]).json()
    assert (after["result"], after["counts"]["succeeded"]) == (None, 1)
    assert client.delete(f"/v1/jobs/{job['id']}").status_code == 204, "by any job's address, and twice"
