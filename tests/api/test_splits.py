"""Splits over HTTP: kept from training to training, whole groups on one side, and leakage that is told."""

import io
import random
import threading

import pytest
from PIL import Image as Pillow
from sqlalchemy import select

from db import registry
from db.models import Evaluation, Image, Snapshot
from tests.api.conftest import as_files, picture
from tsukiji.curation import snapshots
from tsukiji.ids import new_id


def scene(number, quality=None):
    """A picture that looks like no other number; with a quality, saved again as a JPEG."""
    grain = random.Random(number)
    small = Pillow.frombytes("RGB", (6, 6), grain.randbytes(108))
    buffer = io.BytesIO()
    big = small.resize((96, 96), Pillow.Resampling.BICUBIC)
    big.save(buffer, "JPEG", quality=quality) if quality else big.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def send(client):
    """Send pictures into the data set `fish`, which is made if it is not there."""
    client.post("/v1/datasets", json={"name": "fish"})

    def send(blobs, **data):
        answer = client.post("/v1/datasets/fish/images", files=as_files(blobs), data=data)
        assert answer.status_code == 201, answer.text
        return [file["image_id"] for file in answer.json()["files"]]

    return send


@pytest.fixture
def fish(send):
    return [
        *send([scene(number) for number in range(10)], label="eel"),
        *send([scene(number) for number in range(100, 110)], label="tuna"),
    ]


@pytest.fixture
def train(client, services, freeze):
    """Start a training; returns the job, its snapshot's row and its split of each image."""

    def train(**body):
        answer = client.post("/v1/trainings", json={"dataset": "fish", **body})
        assert answer.status_code == 202, answer.text
        job = freeze(answer.json()["id"])
        with services.database.reading() as session:
            row = session.scalars(select(Snapshot).order_by(Snapshot.id.desc())).first()
        items = snapshots.loads(services.store.read(row.sha256))
        return job, row, {item.image_id: item.split for item in items}

    return train


def warnings_of(job):
    return {warning["code"]: warning["detail"] for warning in job["request"]["warnings"]}


def test_images_keep_their_split_when_more_are_sent(send, fish, train):
    _, _, first = train(recipe={"seed": 1})
    more = send([scene(number) for number in range(200, 220)], label="eel")
    _, _, second = train(recipe={"seed": 2})
    assert {image: second[image] for image in fish} == first
    held_out = sum(second[image] == "valid" for image in [*fish[:10], *more])
    assert held_out == 9  # 0.3 of 30


def test_resplit_draws_anew_and_that_is_kept(fish, train):
    _, _, first = train(recipe={"seed": 1})
    _, _, second = train(recipe={"seed": 2}, resplit=True)
    _, _, third = train(recipe={"seed": 3})
    assert first != second == third


def test_a_refused_training_draws_nothing(client, services, send, fish):
    send([scene(500)], label="squid")
    assert client.post("/v1/trainings", json={"dataset": "fish"}).json()["code"] == "dataset_too_small"
    with services.database.reading() as session:
        assert set(session.scalars(select(Image.drawn_split))) == {None}


def test_a_copy_stands_where_its_original_stands(send, fish, train):
    copies = send([scene(number, quality=60) for number in range(10)], label="eel")
    job, row, splits = train()
    assert [splits[image] for image in copies] == [splits[image] for image in fish[:10]]
    assert warnings_of(job)["leakage_avoided"].startswith("10 groups of images that look the same")
    assert (row.leakage["near_duplicate_groups"], row.leakage["near_duplicates"]) == (10, 20)
    assert row.leakage["straddling"] == 0


def test_a_copy_of_a_test_image_is_not_learnt_from(client, send, fish, train):
    (test,) = send([scene(3, quality=60)], label="eel", split="test")
    _, _, splits = train()
    assert splits[fish[3]] == splits[test] == "test"
    client.delete(f"/v1/images/{test}")
    assert train()[2][fish[3]] == "test"


def test_leakage_that_the_user_made_is_told(send, fish, train):
    send([scene(3, quality=60)], label="eel", split="train")
    send([scene(3, quality=80)], label="eel", split="valid")
    job, row, _ = train()
    assert "1 group of images" in warnings_of(job)["leakage_found"]
    assert row.leakage["straddling"] == 1


def test_groups_are_sent_shown_and_kept_whole(client, send, fish, train):
    names = [f"boat {number // 5}" for number in range(20)]
    images = send([scene(number) for number in range(300, 320)], label="eel", groups=names)
    assert client.get(f"/v1/images/{images[7]}").json()["group"] == "boat 1"
    assert client.get(f"/v1/images/{fish[0]}").json()["group"] is None
    _, row, splits = train()
    for name in set(names):
        assert len({splits[image] for image, group in zip(images, names, strict=True) if group == name}) == 1
    assert row.leakage["groups"] == 4


def test_one_group_for_all_leaves_nothing_to_hold_out(client, send, freeze):
    send([scene(number) for number in range(10)], label="eel", group="boat 1")
    send([scene(number) for number in range(100, 110)], label="tuna")
    job = freeze(client.post("/v1/trainings", json={"dataset": "fish"}).json()["id"])
    assert (job["status"], job["error"]["code"]) == ("failed", "dataset_too_small")
    assert "cannot be both trained on and held out: eel" in job["error"]["detail"]


@pytest.mark.parametrize(
    ("data", "pointer"),
    [
        ({"group": "a", "groups": ["a", "b"]}, "#/group"),
        ({"groups": ["a"]}, "#/groups"),
        ({"group": "g" * 201}, "#/group"),
        ({"groups": ["a", "b\x07"]}, "#/groups/1"),
    ],
)
def test_groups_that_make_no_sense(client, dataset, data, pointer):
    answer = client.post(f"/v1/datasets/{dataset}/images", files=as_files([picture(), picture((1, 1, 1))]), data=data)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer


def test_images_of_before_are_counted_as_not_compared(services, fish, train):
    with services.database.transaction() as session:
        session.get(Image, fish[0]).phash = None
    job, _, _ = train()
    assert warnings_of(job)["unhashed_images"].startswith("1 image added before")


def test_trainings_that_freeze_at_once_leave_one_draw_behind(client, services, fish, train, freeze):
    bodies = [{"dataset": "fish", "recipe": {"seed": seed}, "resplit": True} for seed in range(4)]
    started = [client.post("/v1/trainings", json=body).json()["id"] for body in bodies]
    threads = [threading.Thread(target=freeze, args=(job,)) for job in started]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with services.database.reading() as session:
        rows = session.scalars(select(Snapshot)).all()
    drawn = [{i.image_id: i.split for i in snapshots.loads(services.store.read(row.sha256))} for row in rows]
    assert len(drawn) == 4
    assert train()[2] in drawn


def test_evaluation_states_the_leakage(client, services, model, send, fish, train):
    send([scene(number, quality=60) for number in range(10)], label="eel")
    _, row, _ = train()
    metrics = client.get("/v1/evaluations").json()["data"][0]["metrics"]
    evaluation = Evaluation(id=new_id("evl"), model_id=model, snapshot_id=row.id, split="valid", metrics=metrics)
    with services.database.transaction() as session:
        registry.add_evaluation(session, evaluation, [])
    listed = {found["id"]: found["leakage"] for found in client.get("/v1/evaluations").json()["data"]}
    assert listed.pop(evaluation.id) == row.leakage
    assert list(listed.values()) == [None]
    assert client.get(f"/v1/evaluations/{evaluation.id}").json()["leakage"]["near_duplicates"] == 20
