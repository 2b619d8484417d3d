"""`tsukiji train FOLDER`, `tsukiji classify FOLDER` without a model, and the next command after each."""

import zipfile

import pytest

from devtools.scripted_service import Answer, dataset, job, lines, model, page, prediction, problem
from tests.tsukiji.cli.terminal import on_a_terminal
from tests.tsukiji.cli.test_imports import accept
from tests.tsukiji.cli.test_models_and_jobs import evaluated

CLASSES = [{"label": "cat", "images": 2}, {"label": "dog", "images": 1}]
GONE = problem(404, "not_found", "There is no such data set.")


@pytest.fixture
def folder(trained, tmp_path):
    """Three pictures for a service without a data set."""
    for name in ("cat/1.png", "cat/2.png", "dog/3.png"):
        (tmp_path / "pets" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "pets" / name).write_bytes(name.encode())
    trained.answer("GET", "/v1/datasets/pets", GONE)
    trained.answer("POST", "/v1/datasets", Answer(dataset(), 201))
    trained.answer("GET", "/v1/datasets/dst_1", dataset(images=3, classes=CLASSES))
    trained.answer("GET", "/v1/limits", {})
    trained.answer("POST", "/v1/datasets/dst_1/images/check", {"known": []})
    trained.answer("POST", "/v1/datasets/dst_1/images", accept)
    return tmp_path / "pets"


def test_a_folder_is_imported_under_its_name_and_trained(trained, run, folder):
    result = run("train", folder)
    assert result.exit_code == 0
    assert trained.asked_for("POST", "/v1/datasets")[0].json["name"] == "pets"
    (started,) = trained.asked_for("POST", "/v1/trainings")
    assert (started.json["dataset"], started.json["recipe"]) == ("dst_1", {"backbone": "auto"})
    assert "3 accepted, 0 duplicates, 0 rejected" in result.stderr
    assert "data set pets: 3 images; cat 2, dog 1" in result.stderr


def test_a_backbone_that_is_named_is_kept(trained, run, folder):
    run("train", folder, "--backbone", "resnet18", "--no-wait")
    assert trained.asked_for("POST", "/v1/trainings")[0].json["recipe"] == {"backbone": "resnet18"}


def test_the_same_folder_again_sends_only_what_is_new(trained, run, folder):
    trained.answer("GET", "/v1/datasets/pets", dataset(images=2))

    def all_but_the_first(asked):
        return {"known": asked.json["sha256"][1:], "labels": {}}

    trained.answer("POST", "/v1/datasets/dst_1/images/check", all_but_the_first)
    assert "1 accepted, 2 duplicates" in run("train", folder).stderr
    assert not trained.asked_for("POST", "/v1/datasets")


def test_a_data_set_of_the_same_name_with_other_pictures_is_asked_about(trained, run, folder):
    trained.answer("GET", "/v1/datasets/pets", dataset(images=40))
    refused = run("train", folder)
    told = " ".join(refused.stderr.replace("│", "").split())
    assert refused.exit_code == 2
    assert "There is already a data set pets with 40 images and none of these pictures" in told
    assert f"tsukiji datasets import {folder} --name OTHER" in told
    assert not trained.asked_for("POST", "/v1/datasets/dst_1/images")
    assert run("train", folder, "--yes").exit_code == 0
    assert trained.asked_for("POST", "/v1/datasets/dst_1/images")


def test_an_archive_is_imported_as_well(trained, run, folder, tmp_path):
    with zipfile.ZipFile(tmp_path / "pets.zip", "w") as archive:
        archive.writestr("cat/1.png", b"1")
    trained.answer("POST", "/v1/datasets/dst_1/imports", Answer(job("queued", "imp_1", "import"), 202))
    result = {"accepted": 1, "duplicates": 0, "rejected": 0, "warnings": []}
    trained.answer("GET", "/v1/jobs/imp_1", job("succeeded", "imp_1", "import", result=result))
    trained.answer("GET", "/v1/imports/imp_1/items", page())
    assert run("train", tmp_path / "pets.zip").exit_code == 0
    assert trained.asked_for("POST", "/v1/datasets")[0].json["name"] == "pets"
    assert trained.asked_for("POST", "/v1/trainings")[0].json["dataset"] == "dst_1"


def test_a_folder_that_is_not_there_is_said_before_anything_is_sent(service, run, tmp_path):
    (tmp_path / "notes.pdf").write_bytes(b"x")
    for path, told in ((tmp_path / "no", "There is no folder or file"), (tmp_path / "notes.pdf", "is no folder")):
        result = run("train", path)
        assert (result.exit_code, told in " ".join(result.stderr.replace("│", "").split())) == (2, True)
    assert service.asked == []


# --- the model that is meant -----------------------------------------------------------------------------------------


@pytest.fixture
def picture(service, tmp_path):
    service.answer("GET", "/v1/models/production", problem(404, "not_found", "no"))
    service.answer("POST", "/v1/batches", Answer(job("queued", "bat_1", "batch"), 202))
    service.answer("GET", "/v1/jobs/bat_1", job("succeeded", "bat_1", "batch"))
    service.answer("GET", "/v1/batches/bat_1/results", lines(prediction()))
    (tmp_path / "a.png").write_bytes(b"a")
    return tmp_path / "a.png"


def test_the_model_in_production_is_meant(service, run, picture):
    service.answer("GET", "/v1/models/production", model())
    result = run("classify", picture)
    assert result.exit_code == 0
    assert "model pets (production)" in result.stderr


def test_the_only_model_is_meant(service, run, picture):
    service.answer("GET", "/v1/models", page(model()))
    result = run("classify", picture)
    assert result.exit_code == 0
    assert "model pets" in result.stderr


def test_of_several_models_the_newest_is_suggested(service, run, picture):
    service.answer("GET", "/v1/models", page(model(id="mdl_2", name="new pets"), model()))
    for command in ("classify", "predict"):
        result = run(command, picture)
        told = " ".join(result.stderr.replace("│", "").split())
        assert result.exit_code == 2
        assert f"tsukiji {command} --model 'new pets'" in told
    assert not service.asked_for("POST", "/v1/batches")


def test_without_a_model_the_training_is_suggested(service, run, picture):
    service.answer("GET", "/v1/models", page())
    assert "tsukiji train FOLDER" in " ".join(run("classify", picture).stderr.split())


# --- the next command ------------------------------------------------------------------------------------------------


def test_after_a_training_its_mistakes_are_next(trained):
    assert "next: tsukiji models mistakes pets" in on_a_terminal("train", "pets")


def test_after_a_second_training_the_comparison_is_next(trained):
    old = "mdl_01k5abcdefghjkmnpqrstvwxyz"
    trained.answer("GET", "/v1/models", page(model(), model(id=old)))
    assert "next: tsukiji models compare mdl_01k5abcdef pets" in on_a_terminal("train", "pets")


def test_a_pipe_gets_no_next_command(trained, run):
    assert "next:" not in run("train", "pets").stderr


def test_after_an_evaluation_and_a_promotion(service):
    evaluated(service)
    assert "next: tsukiji models mistakes pets" in on_a_terminal("models", "evaluate", "pets", "--dataset", "pets")
