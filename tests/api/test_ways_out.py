"""Trainings that are refused or doubtful: each way out that is named is taken on the command line, and leads out."""

import re
import shlex

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from tests.api.conftest import as_files
from tests.api.test_splits import scene
from tsukiji.cli import app as command_line


@pytest.fixture
def run(app, key, client, monkeypatch):
    """Run a command line against the service of this test."""
    monkeypatch.setenv("TSUKIJI_URL", "http://127.0.0.1:8000")
    monkeypatch.setenv("TSUKIJI_API_KEY", key)
    monkeypatch.setattr(
        "tsukiji.client._sync._transport.httpx2.Client",
        lambda base_url, headers, trust_env: TestClient(app, base_url=base_url, headers=headers),
    )

    def run(command):
        words = shlex.split(command)
        assert words[0] == "tsukiji"
        result = CliRunner().invoke(command_line, words[1:], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result

    return run


@pytest.fixture
def fill(client):
    """Fill a data set: `label/split/group` and how many pictures, all different; returns their ids."""

    def fill(name, kind="single_label", **counts):
        assert client.post("/v1/datasets", json={"name": name, "kind": kind}).status_code == 201
        number = 0
        ids = {}
        for place, count in counts.items():
            label, split, group = [*place.split("/"), "", ""][:3]
            blobs = [scene(number + at) for at in range(count)]
            number += count
            data = {"label": label, "split": split, "group": group}
            answer = client.post(f"/v1/datasets/{name}/images", files=as_files(blobs), data=data)
            assert answer.status_code == 201, answer.text
            ids[place] = [file["image_id"] for file in answer.json()["files"]]
        return ids

    return fill


@pytest.fixture
def train(client, freeze):
    """Ask for a training; returns its error, whether it is refused at once or by the worker, or its request."""

    def train(name):
        answer = client.post("/v1/trainings", json={"dataset": name}).json()
        if "code" in answer:
            return answer
        job = freeze(answer["id"])
        return job["error"] or job["request"]

    return train


def commands(text):
    return re.findall(r"`(tsukiji [^`]*)`", text)


REFUSED = {
    "all are tested": ({"eel/test": 4, "tuna/test": 4}, 1),
    "one is tested only": ({"eel": 4, "tuna/test": 4}, 1),
    "most of one are tested": ({"eel": 4, "tuna": 1, "tuna/test": 4}, 0),
    "one is small": ({"eel": 4, "tuna": 4, "blue fish": 1}, 0),
    "one is held out": ({"eel": 4, "tuna/valid": 4}, 0),
    "one is a group": ({"eel": 4, "squid": 4, "tuna//boat": 4}, 0),
}


@pytest.mark.parametrize(("images", "which"), REFUSED.values(), ids=REFUSED)
def test_the_way_out_of_a_refusal_leads_out(run, fill, train, images, which):
    fill("my fish", **images)
    refused = train("my fish")
    assert refused["code"] == "dataset_too_small"
    run(commands(refused["hint"])[which])
    assert "code" not in train("my fish")


def test_each_label_that_is_held_out_whole_has_its_way_out(run, fill, train):
    fill("fish", **{"eel": 4, "tuna/valid": 4, "-cod 'x'/valid": 4})
    for command in commands(train("fish")["hint"]):
        run(command)
    assert "code" not in train("fish")


@pytest.mark.parametrize("images", [{"": 8}, {"": 4, "squid": 4}])
def test_images_without_a_label_can_be_given_one(run, fill, train, images):
    ids = fill("fish", **images)
    command = commands(train("fish")["hint"])[0]
    for number, image in enumerate(ids[""]):
        run(command.replace("ID", image).replace("LABEL", ("eel", "tuna")[number % 2]))
    assert "code" not in train("fish")


def test_a_label_of_one_group_can_be_split_by_hand(run, fill, train):
    ids = fill("fish", **{"eel": 4, "tuna//boat": 4})
    learnt, held_out = commands(train("fish")["hint"])
    run(learnt)
    for image in ids["tuna//boat"][:2]:
        run(held_out.replace("ID", image))
    assert "code" not in train("fish")


def test_what_shows_none_of_the_kinds_can_be_said(run, fill, train):
    fill("fish", "multi_label", **{"eel": 4, "": 4})
    run(commands(train("fish")["hint"])[0])
    assert "code" not in train("fish")


def test_images_that_all_look_like_test_images_can_be_held_out_by_hand(run, fill, train):
    ids = fill("fish", **{"eel/train/a": 4, "eel/test/a": 1, "tuna/train/b": 4, "tuna/test/b": 1})
    refused = train("fish")
    assert "none is left to evaluate" in refused["detail"]
    for place in ("eel/train/a", "tuna/train/b"):
        run(commands(refused["hint"])[0].replace("ID", ids[place][0]))
    assert "code" not in train("fish")


def test_train_and_test_alone_can_be_trained_and_the_test_set_stays(client, fill, train):
    ids = fill("fish", **{"eel/train": 10, "tuna/train": 10, "eel/test": 4, "tuna/test": 4})
    (warning,) = [one for one in train("fish")["warnings"] if one["code"] == "valid_from_train"]
    assert "eel, tuna" in warning["detail"]
    snapshots = client.get("/v1/datasets/fish/snapshots").json()["data"]
    assert snapshots[0]["images"] == 28
    for image in ids["eel/test"]:
        assert client.get(f"/v1/images/{image}").json()["split"] == "test"


def test_a_label_without_anything_held_out_is_told_and_the_way_out_holds_some_out(run, fill, train):
    fill("fish", **{"ant/train": 4, "eel/train": 4, "tuna/train": 4, "eel/valid": 2, "tuna/valid": 2})
    (warning,) = [one for one in train("fish")["warnings"] if one["code"] == "nothing_held_out"]
    assert warning["labels"] == ["ant"]
    run(commands(warning["detail"])[0])
    codes = [one["code"] for one in train("fish")["warnings"]]
    assert {"nothing_held_out", "valid_from_train"}.isdisjoint(codes)
