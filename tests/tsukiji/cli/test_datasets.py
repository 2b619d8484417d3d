import json

import pytest

from devtools.scripted_service import Answer, dataset, failed, job, page, problem

CLASSES = [{"label": "cat", "images": 2}, {"label": None, "images": 1}]


def test_create(service, run):
    service.answer("POST", "/v1/datasets", Answer(dataset(), 201))
    assert json.loads(run("datasets", "create", "pets", "--json").stdout)["id"] == "dst_1"
    assert service.asked[0].json == {"name": "pets", "description": ""}


def test_list_in_a_pipe_is_lines_of_tabs(service, run):
    service.answer("GET", "/v1/datasets", page(dataset(images=3, classes=CLASSES), dataset("evil\t\x1b[2Jname")))
    header, first, second = run("datasets", "ls").stdout.splitlines()
    assert header.split("\t") == ["name", "images", "labels", "created", "kind", "id"]
    assert first.split("\t")[:3] == ["pets", "3", "1"]
    assert second.split("\t")[0] == "evil��[2Jname"


def test_list_stops_at_its_limit(service, run):
    service.answer("GET", "/v1/datasets", page(dataset("a"), dataset("b"), cursor="more"))
    assert len(run("datasets", "ls", "--limit", "2", "--json").stdout.splitlines()) == 2
    assert len(service.asked) == 1


def test_show_counts_each_label(service, run):
    service.answer("GET", "/v1/datasets/pets", dataset(classes=CLASSES))
    assert run("datasets", "show", "pets").stdout.splitlines()[-2:] == ["cat\t2", "-\t1"]


@pytest.fixture
def folder(service, tmp_path):
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat/1.png").write_bytes(b"1")
    (tmp_path / "cat/2.png").write_bytes(b"2")
    error = {"code": "truncated", "title": "cut short"}
    files = [{"name": "cat/1.png", "verdict": "accepted"}, {"name": "cat/2.png", "verdict": "rejected", "error": error}]
    service.answer("GET", "/v1/limits", {})
    service.answer("GET", "/v1/datasets/dst_1", dataset(images=1))
    service.answer("POST", "/v1/datasets", Answer(dataset(), 201))
    service.answer("POST", "/v1/datasets/dst_1/images/check", {"known": []})
    answer = {"accepted": 1, "duplicates": 0, "rejected": 1, "files": files}
    service.answer("POST", "/v1/datasets/dst_1/images", answer)
    return tmp_path


def test_import_a_folder_into_a_new_data_set(service, run, folder):
    result = run("datasets", "import", folder, "--name", "pets", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["rejected"] == 1
    assert "1 accepted, 0 duplicates, 1 rejected" in result.stderr
    assert "cat/2.png: truncated: cut short" in result.stderr


def test_an_empty_folder_makes_no_data_set(service, run, tmp_path):
    (tmp_path / "cat").mkdir()
    result = run("datasets", "import", tmp_path, "--name", "pets")
    assert (result.exit_code, "no data set was created" in result.stderr) == (2, True)
    assert service.asked == []


def test_a_folder_of_which_nothing_can_be_taken_makes_no_data_set(service, run, folder):
    error = {"code": "not_an_image", "title": "no picture"}
    files = [{"name": f"cat/{n}.png", "verdict": "rejected", "error": error} for n in (1, 2)]
    answer = {"accepted": 0, "duplicates": 0, "rejected": 2, "files": files}
    service.answer("POST", "/v1/datasets/dst_1/images", answer)
    service.answer("GET", "/v1/datasets/dst_1", dataset(images=0))
    service.answer("DELETE", "/v1/datasets/dst_1", Answer(None, 204))
    result = run("datasets", "import", folder, "--name", "pets")
    assert (result.exit_code, "no data set was created" in result.stderr) == (1, True)
    assert "cat/2.png: not_an_image" in result.stderr
    assert len(service.asked_for("DELETE", "/v1/datasets/dst_1")) == 1


def test_an_archive_that_fails_leaves_no_new_data_set_and_what_was_there_stays(service, run, tmp_path):
    archive = tmp_path / "pets.zip"
    archive.write_bytes(b"zipped")
    service.answer("POST", "/v1/datasets", Answer(dataset(), 201))
    service.answer("GET", "/v1/datasets/dst_1", dataset(images=0))
    service.answer("DELETE", "/v1/datasets/dst_1", Answer(None, 204))
    service.answer("POST", "/v1/datasets/dst_1/imports", Answer(job("queued", "imp_1", "import"), 202))
    service.answer("GET", "/v1/jobs/imp_1", failed("archive_unreadable", "imp_1"))
    assert run("datasets", "import", archive, "--name", "pets").exit_code == 5
    assert len(service.asked_for("DELETE", "/v1/datasets/dst_1")) == 1
    service.answer("GET", "/v1/datasets/pets", dataset())
    assert run("datasets", "import", archive, "--name", "pets").exit_code == 5
    assert len(service.asked_for("DELETE", "/v1/datasets/dst_1")) == 1


def test_bad_files_are_an_error_if_one_asks(run, folder):
    assert run("datasets", "import", folder, "--name", "pets", "--fail-on-item-error").exit_code == 8


def test_import_a_zip_into_what_is_there(service, run, tmp_path):
    archive = tmp_path / "pets.zip"
    archive.write_bytes(b"zipped")
    service.answer("GET", "/v1/datasets/pets", dataset())
    service.answer("POST", "/v1/datasets/dst_1/imports", Answer(job("queued", "imp_1", "import"), 202))
    counts = {"accepted": 5, "duplicates": 0, "rejected": 1}
    service.answer("GET", "/v1/jobs/imp_1", job("succeeded", "imp_1", "import", result=counts))
    rejected = {
        "name": "../evil.jpg",
        "verdict": "rejected",
        "error": {"code": "unsafe_path", "title": "leads outside"},
    }
    service.answer("GET", "/v1/imports/imp_1/items", page(rejected))
    result = run("datasets", "import", archive, "--name", "pets", "--json")
    assert json.loads(result.stdout) | counts == json.loads(result.stdout)
    assert "../evil.jpg: unsafe_path" in result.stderr
    assert service.asked_for("POST", "/v1/datasets/dst_1/imports")[0].body == b"zipped"


def test_import_from_where_the_service_may_read(service, run):
    service.answer("GET", "/v1/datasets/pets", dataset())
    service.answer("POST", "/v1/datasets/dst_1/imports", Answer(job("queued", "imp_1", "import"), 202))
    counts = {"accepted": 5, "duplicates": 0, "rejected": 0}
    service.answer("GET", "/v1/jobs/imp_1", job("succeeded", "imp_1", "import", result=counts))
    service.answer("GET", "/v1/imports/imp_1/items", page())
    result = run("datasets", "import", "--source", "s3://bucket/2026", "--name", "pets", "--json")
    assert json.loads(result.stdout)["accepted"] == 5
    assert service.asked_for("POST", "/v1/datasets/dst_1/imports")[0].json == {"source": "s3://bucket/2026"}
    assert run("datasets", "import", "--name", "pets").exit_code == 2


def test_an_import_that_fails(service, run, tmp_path):
    (tmp_path / "pets.zip").write_bytes(b"no zip")
    service.answer("GET", "/v1/datasets/pets", dataset())
    failure = failed("archive_unreadable", "imp_1")
    service.answer("POST", "/v1/datasets/dst_1/imports", Answer({**failure, "object": "import"}, 202))
    result = run("datasets", "import", tmp_path / "pets.zip", "--name", "pets")
    assert result.exit_code == 5
    assert "archive_unreadable" in result.stderr


def test_removal_wants_a_yes(service, run):
    service.answer("GET", "/v1/datasets/pets", dataset())
    service.answer("DELETE", "/v1/datasets/dst_1", Answer(b"", 204))
    refused = run("datasets", "rm", "pets")
    assert refused.exit_code == 2
    assert "--yes" in refused.stderr
    assert not service.asked_for("DELETE", "/v1/datasets/dst_1")
    assert json.loads(run("datasets", "rm", "pets", "--yes", "--json").stdout) == {"id": "dst_1", "deleted": True}
    assert service.asked_for("DELETE", "/v1/datasets/dst_1")


def test_a_missing_folder_is_wrong_usage(service, run, tmp_path):
    assert run("datasets", "import", tmp_path / "missing", "--name", "pets").exit_code == 2
    assert not service.asked


def test_a_data_set_that_is_not_there(service, run):
    service.answer("GET", "/v1/datasets/x", problem(404, "not_found", "There is no data set x."))
    assert run("datasets", "rm", "x", "--yes").exit_code == 4


def test_a_group_for_the_whole_folder(service, run, folder):
    assert run("datasets", "import", folder, "--name", "pets", "--group", "boat 7").exit_code == 0
    assert service.asked_for("POST", "/v1/datasets/dst_1/images")[0].field("group") == ["boat 7"]
