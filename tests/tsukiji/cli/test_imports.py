"""`tsukiji datasets import` with tables, exports of other tools, addresses; and what became of each file, saved."""

import csv
import json

import pytest

from devtools.scripted_service import Answer, dataset, job, page, problem
from tests.tsukiji.uploads import record

IMPORTS = "/v1/datasets/dst_1/imports"
COUNTS = {"accepted": 2, "duplicates": 0, "rejected": 1}
REJECTED = {"name": "9.png", "verdict": "rejected", "error": {"code": "file_not_sent", "title": "gone", "line": 3}}


@pytest.fixture
def pets(service):
    """A data set whose imports end well."""
    service.answer("GET", "/v1/datasets/pets", dataset())
    service.answer("GET", "/v1/datasets/dst_1", dataset(images=2))
    service.answer("POST", IMPORTS, Answer(job("queued", "imp_1", "import"), 202))
    warning = {"code": "columns_ignored", "detail": "labels.csv, line 1: nothing is made of the columns 'lable'."}
    result = COUNTS | {"warnings": [warning]}
    service.answer("GET", "/v1/jobs/imp_1", job("succeeded", "imp_1", "import", result=result))
    service.answer("GET", "/v1/imports/imp_1/items", page(REJECTED))
    return service


@pytest.fixture
def store(pets):
    """Uploads are complete at once, and their ids end with the file's name."""
    pets.answer("POST", "/v1/uploads", lambda asked: record(id=f"upl_{asked.json['name']}", status="completed"))


def asked(service):
    return service.asked_for("POST", IMPORTS)[0]


def test_a_table_beside_an_archive(pets, store, run, tmp_path):
    (tmp_path / "pets.zip").write_bytes(b"zipped")
    (tmp_path / "labels.csv").write_bytes(b"file,label\n")
    options = ("--column", "label=species", "--split", "test")
    result = run(
        "datasets", "import", tmp_path / "pets.zip", "--table", tmp_path / "labels.csv", "--name", "pets", *options
    )
    assert result.exit_code == 0
    wanted = {"columns": {"label": "species"}, "split": "test"}
    assert asked(pets).json == {"upload": "upl_pets.zip", "table": "upl_labels.csv", **wanted}
    assert "columns 'lable'" in result.stderr


@pytest.mark.parametrize(
    "name", ["urls.csv", "urls.txt", "images.json", "export.jsonl", "train.manifest", "labels.TSV"]
)
def test_a_table_alone(pets, store, run, tmp_path, name):
    (tmp_path / name).write_bytes(b"url\n")
    assert run("datasets", "import", tmp_path / name, "--name", "pets", "--label", "bear").exit_code == 0
    assert asked(pets).json == {"table": f"upl_{name}", "label": "bear"}


def test_a_table_beside_what_the_service_reads(pets, store, run, tmp_path):
    (tmp_path / "labels.csv").write_bytes(b"file,label\n")
    run("datasets", "import", "--source", "s3://bucket/2026", "--table", tmp_path / "labels.csv", "--name", "pets")
    assert asked(pets).json == {"source": "s3://bucket/2026", "table": "upl_labels.csv"}


def test_options_of_a_small_archive_go_with_it(pets, run, tmp_path):
    (tmp_path / "project.tm").write_bytes(b"zipped")
    run("datasets", "import", tmp_path / "project.tm", "--name", "pets", "--format", "teachable", "--group", "Tom")
    assert asked(pets).query == {"filename": ["project.tm"], "format": ["teachable"], "group": ["Tom"]}
    assert asked(pets).headers["content-type"] == "application/zip"


def test_what_folders_are_goes_with_an_archive(pets, store, run, tmp_path):
    (tmp_path / "a.zip").write_bytes(b"zipped")
    run("datasets", "import", tmp_path / "a.zip", "--name", "pets", "--folder", "train=label", "--folder", "a=b=none")
    assert asked(pets).json == {"upload": "upl_a.zip", "folders": {"train": "label", "a=b": "none"}}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--column", "size=x"], "size"),
        (["--column", "label"], "columns"),
        (["--folder", "train"], "folders"),
        (["--folder", "train=class"], "'label'"),
        (["--label", "x" * 201], "label"),
        (["--format", "excel"], "excel"),
        (["--split", "holdout"], "holdout"),
        (["-o", "verdicts.xlsx"], "verdicts.xlsx"),
    ],
)
def test_options_that_make_no_sense_are_wrong_usage(pets, run, tmp_path, options, told):
    (tmp_path / "labels.csv").write_bytes(b"url\n")
    result = run("datasets", "import", tmp_path / "labels.csv", "--name", "pets", *options)
    assert result.exit_code == 2
    assert told in result.stderr
    assert not pets.asked


def test_the_code_page_of_an_archive(pets, run, tmp_path):
    (tmp_path / "pets.zip").write_bytes(b"zipped")
    assert run("datasets", "import", tmp_path / "pets.zip", "--name", "pets", "--encoding", "ms932").exit_code == 0
    assert asked(pets).query["encoding"] == ["cp932"]
    result = run("datasets", "import", tmp_path / "pets.zip", "--name", "pets", "--encoding", "klingon")
    assert result.exit_code == 2
    assert "cp932" in result.stderr


def test_verdicts_of_a_job_are_saved(pets, store, run, tmp_path):
    (tmp_path / "labels.csv").write_bytes(b"url\n")
    pets.answer("GET", "/v1/imports/imp_1/results", b"name,verdict\n")
    target = tmp_path / "verdicts.csv"
    result = run("datasets", "import", tmp_path / "labels.csv", "--name", "pets", "-o", target)
    assert target.read_bytes() == b"name,verdict\n"
    assert pets.asked_for("GET", "/v1/imports/imp_1/results")[0].headers["accept"] == "text/csv"
    assert "9.png: file_not_sent" in result.stderr


# --- folders ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(pets, tmp_path):
    """A folder with a table that names one picture, one that is not there, and one by its address."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in (1, 2):
        (folder / f"{number}.png").write_bytes(b"%d" % number)
    rows = ["file,label,split", "1.png,=cat,test", "9.png,cat,", "https://photos.example/3.png,cat,"]
    (folder / "labels.csv").write_text("\n".join(rows))
    pets.answer("GET", "/v1/limits", {})
    pets.answer("POST", "/v1/datasets/dst_1/images/check", {"known": []})
    pets.answer("POST", "/v1/datasets/dst_1/images", accept)
    return folder


def accept(asked):
    labels = asked.field("labels") or [None] * len(asked.field("files"))
    files = [
        {"name": name, "verdict": "accepted", "label": label, "image_id": "img_1"}
        for name, label in zip(asked.field("files"), labels, strict=True)
    ]
    return {"accepted": len(files), "duplicates": 0, "rejected": 0, "files": files}


def test_a_folder_goes_by_its_table(pets, run, folder):
    result = run("datasets", "import", folder, "--name", "pets", "--json")
    found = json.loads(result.stdout)
    assert (found["accepted"], found["rejected"]) == (2, 2)
    codes = {file["name"]: file["error"]["code"] for file in found["files"] if file["error"]}
    assert codes == {"9.png": "file_not_sent", "https://photos.example/3.png": "url_not_allowed"}
    sent = pets.asked_for("POST", "/v1/datasets/dst_1/images")
    told = {name: (asked.field("labels"), asked.field("split")) for asked in sent for name in asked.field("files")}
    assert told == {"1.png": (["=cat"], ["test"]), "2.png": ([], [])}


def test_a_folder_goes_by_a_table_that_lies_elsewhere(pets, run, folder, tmp_path):
    (folder / "labels.csv").unlink()
    (tmp_path / "other.jsonl").write_text('{"file": "1.png", "label": "dog"}\n{"file": "2.png", "label": ["a", "b"]}\n')
    result = run("datasets", "import", folder, "--table", tmp_path / "other.jsonl", "--name", "pets")
    assert "2.png: several_labels" in result.stderr
    (sent,) = pets.asked_for("POST", "/v1/datasets/dst_1/images")
    assert (sent.field("files"), sent.field("labels")) == (["1.png"], ["dog"])


def test_a_table_of_the_folder_may_be_the_one_that_counts(pets, run, folder):
    (folder / "sub").mkdir()
    (folder / "sub" / "mine.csv").write_text("id,species\n1,eel\n")
    options = ("--table", folder / "sub" / "mine.csv", "--column", "file=id", "--column", "label=species")
    result = run("datasets", "import", folder, "--name", "pets", *options, "--json")
    codes = {file["name"]: file["error"]["code"] for file in json.loads(result.stdout)["files"] if file["error"]}
    assert codes == {"labels.csv": "table_invalid"}, "which has no column of these names"
    sent = [
        (asked.field("files"), asked.field("labels")) for asked in pets.asked_for("POST", "/v1/datasets/dst_1/images")
    ]
    assert sorted(sent) == [(["1.png"], ["eel"]), (["2.png"], [])]


def test_a_table_that_is_none_is_told_before_anything_is_sent(pets, run, folder, tmp_path):
    (tmp_path / "other.csv").write_text("name,species\n")
    result = run("datasets", "import", folder, "--table", tmp_path / "other.csv", "--name", "pets")
    assert result.exit_code == 2
    assert "no column says which file or url" in result.stderr
    assert not pets.asked_for("POST", "/v1/datasets/dst_1/images")


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_verdicts_of_a_folder_are_saved(run, folder, tmp_path, suffix):
    target = tmp_path / f"verdicts{suffix}"
    assert run("datasets", "import", folder, "--name", "pets", "-o", target).exit_code == 0
    if suffix == ".jsonl":
        rows = [json.loads(line) for line in target.read_text().splitlines()]
        assert [row["name"] for row in rows] == ["1.png", "2.png", "9.png", "https://photos.example/3.png"]
        return
    head, *rows = csv.reader(target.read_text().splitlines())
    assert head[:3] == ["name", "verdict", "label"]
    assert rows[0][:3] == ["1.png", "accepted", "'=cat"]
    assert rows[2][:6] == ["9.png", "rejected", "", "", "file_not_sent", "3"]


def test_columns_of_0_and_1_for_a_data_set_of_several_labels(store, service, run, tmp_path):
    service.answer("GET", "/v1/datasets/pets", problem(404, "not_found", "gone"))
    service.answer("POST", "/v1/datasets", Answer(dataset(kind="multi_label"), 201))
    (tmp_path / "labels.csv").write_bytes(b"file,cat,dog\n")
    options = ("--kind", "multi_label", "--column", "label=cat", "--column", "label=dog", "--separator", " ")
    assert run("datasets", "import", tmp_path / "labels.csv", "--name", "pets", *options).exit_code == 0
    assert service.asked_for("POST", "/v1/datasets")[0].json["kind"] == "multi_label"
    wanted = {"columns": {"label": ["cat", "dog"]}, "separator": " "}
    assert asked(service).json == {"table": "upl_labels.csv", **wanted}
