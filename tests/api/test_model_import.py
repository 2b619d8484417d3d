"""A package from another installation: taken in whole, or refused whole."""

import json
import pickle
import shutil
import threading
import zipfile
from io import BytesIO

import anyio
import numpy as np
import pytest
from PIL import Image

from api.services import Services
from api.submit import package_intake
from db import keys
from db.session import Database
from tests.api.conftest import Current, RecordedWakeups, archive, limited, settings_in
from tests.tsukiji.vision.packages import LABELS, seal, write_package
from tsukiji.ingest.packages import sandbox
from tsukiji.kernel.cores import usable_cores
from tsukiji.kernel.storage.memory import MemoryStore
from tsukiji.vision import drift, package
from tsukiji.vision.predictor import Predictor


@pytest.fixture(scope="module")
def complete(tmp_path_factory):
    folder = write_package(tmp_path_factory.mktemp("complete") / "model", temperature=1.5)
    row = {"label": "cat", "precision": 1, "recall": 1, "f1": 1, "support": 1}
    metrics = {"accuracy": 0.75, "loss": 1, "images": 4, "label_names": LABELS, "per_class": [row]}
    confusion = [[1, 0, 0], [0, 2, 1], [0, 0, 0]]
    told = {"metrics": metrics | {"confusion": confusion}, "split": "valid", "recipe": {"epochs": 3}}
    (folder / package.EVALUATION).write_text(json.dumps(told))
    seal(folder)
    return folder


@pytest.fixture
def folder(complete, tmp_path):
    return shutil.copytree(complete, tmp_path / "package")


def zipped(folder, **more):
    return archive({path.name: path.read_bytes() for path in folder.iterdir()} | more)


def send(client, data, **fields):
    return client.post("/v1/models", files={"package": ("fish.zip", data)}, data=fields)


@pytest.fixture(autouse=True)
def roomy(services, monkeypatch):
    """Packages may be as large as ours, and are checked in this process; `test_apart` does it in another."""
    services.settings = limited(services.settings, request_bytes=128 * 2**20)
    monkeypatch.setattr(package_intake, "unpack_apart", sandbox.take)


def test_an_imported_model_is_a_model(client, folder):
    answer = send(client, zipped(folder))
    assert answer.status_code == 201, answer.text
    model = answer.json()
    assert answer.headers["location"] == f"/v1/models/{model['id']}"
    assert (model["name"], model["label_names"], model["backbone"]) == ("fish", LABELS, "resnet18")
    assert (model["accuracy"], model["imported_from"], model["image_size"]) == (0.75, "mdl_1", 64)
    assert model["recipe"]["epochs"] == 3
    evaluation = client.get(model["links"]["evaluation"]).json()
    assert (evaluation["metrics"]["accuracy"], evaluation["split"]) == (0.75, "valid")
    assert client.get("/v1/models/fish").json() == model
    assert client.get("/v1/models/fish/drift").json()["held_out"] is None, "a package of an earlier version"


def keep_held_out(folder, labels=3):
    known = np.linspace(0.1, 1, 30)
    kept = drift.HeldOut.of(np.arange(30) % labels, known, known, np.zeros((30, drift.FEATURES)), labels)
    package.write_part(folder, package.HELD_OUT, kept)
    seal(folder)
    return zipped(folder)


def test_what_its_held_out_pictures_are_like_comes_with_it(client, folder):
    assert send(client, keep_held_out(folder)).status_code == 201
    found = client.get("/v1/models/fish/drift").json()["held_out"]
    assert (found["images"], found["labels"]) == (30, dict.fromkeys(LABELS, 10))


def test_a_package_is_checked_in_a_process_of_its_own(client, folder, monkeypatch):
    monkeypatch.setattr(package_intake, "unpack_apart", sandbox.unpack_apart)
    assert send(client, zipped(folder)).json()["evaluation_id"]
    problem = send(client, garbage(folder)).json()
    assert (problem["code"], problem["reason"]) == ("package_invalid", "archive_unreadable")


def test_a_package_without_an_evaluation_is_taken_as_well(client, folder):
    (folder / package.EVALUATION).unlink()
    seal(folder)
    model = send(client, zipped(folder), name="eels").json()
    assert (model["name"], model["accuracy"], model["evaluation_id"]) == ("eels", None, None)


def test_each_import_is_a_model_of_its_own_unless_the_request_is_the_same(client, folder):
    first, second = send(client, zipped(folder)).json(), send(client, zipped(folder)).json()
    assert first["id"] != second["id"]
    key = {"Idempotency-Key": "once"}
    sent = {"package": ("a.zip", zipped(folder))}
    again = [client.post("/v1/models", files=sent, headers=key) for _ in range(2)]
    assert again[0].json()["id"] == again[1].json()["id"]
    assert again[1].headers["idempotency-replayed"] == "true"


def test_a_model_goes_from_one_installation_to_another_and_answers_alike(
    client, start, services, folder, tmp_path, migrated_sqlite
):
    here = send(client, zipped(folder)).json()
    package_here = client.get(here["links"]["package"]).content
    (tmp_path / "there").mkdir()
    shutil.copy(migrated_sqlite, tmp_path / "there" / "tsukiji.db")
    settings = limited(settings_in(tmp_path / "there"), request_bytes=128 * 2**20)
    there = Current.services = Services(settings, Database(settings), MemoryStore(), RecordedWakeups())
    try:
        with there.database.transaction() as session:
            key = keys.create(session, "there")[1]
        stranger = start(key)
        moved = send(stranger, package_here).json()
        assert moved["id"] != here["id"]
        package_there = stranger.get(moved["links"]["package"]).content
    finally:
        there.database.close()
        Current.services = services
    assert package_there == package_here
    (tmp_path / "unpacked").mkdir()
    with zipfile.ZipFile(BytesIO(package_there)) as file:
        file.extractall(tmp_path / "unpacked")
    images = [Image.fromarray(np.random.default_rng(0).integers(0, 256, (80, 70, 3), np.uint8))]
    ours, theirs = (Predictor.load(place, "cpu").predict(images) for place in (folder, tmp_path / "unpacked"))
    assert np.array_equal(ours, theirs)


def lying_hash(folder):
    (folder / "README.md").write_text("# Better\n")
    return zipped(folder)


def missing_file(folder):
    (folder / package.CALIBRATION).unlink()
    return zipped(folder)


def no_manifest(folder):
    (folder / package.MANIFEST).unlink()
    return zipped(folder)


def with_pickle(folder):
    return zipped(folder, **{"export.pkl": pickle.dumps(1)})


def pickled_weights(folder):
    (folder / package.WEIGHTS).write_bytes(pickle.dumps({"w": 1}))
    seal(folder)
    return zipped(folder)


def foreign_format(folder):
    manifest = json.loads((folder / package.MANIFEST).read_text())
    (folder / package.MANIFEST).write_text(json.dumps(manifest | {"format": "other/1"}))
    return zipped(folder)


def wrong_outputs(folder):
    config = json.loads((folder / package.CONFIG).read_text())
    config |= {"num_classes": 2, "label_names": ["a", "b"]}
    (folder / package.CONFIG).write_text(json.dumps(config))
    (folder / package.EVALUATION).unlink()
    seal(folder)
    return zipped(folder)


def bad_preprocess(folder):
    (folder / package.PREPROCESS).write_text('{"size": -1}')
    seal(folder)
    return zipped(folder)


def no_numbers(folder):
    data = bytearray((folder / package.WEIGHTS).read_bytes())
    data[-4:] = b"\xff\xff\xff\xff"
    (folder / package.WEIGHTS).write_bytes(data)
    seal(folder)
    return zipped(folder)


def large_pictures(folder):
    (folder / package.PREPROCESS).write_text('{"size": 4000}')
    seal(folder)
    return zipped(folder)


def other_body(folder):
    config = json.loads((folder / package.CONFIG).read_text())
    (folder / package.CONFIG).write_text(json.dumps(config | {"architecture": "resnet34"}))
    seal(folder)
    return zipped(folder)


def twins(folder):
    config = json.loads((folder / package.CONFIG).read_text())
    (folder / package.CONFIG).write_text(json.dumps(config | {"label_names": ["cat", "cat ", "dog"]}))
    (folder / package.EVALUATION).unlink()
    seal(folder)
    return zipped(folder)


def control_characters(folder):
    config = json.loads((folder / package.CONFIG).read_text())
    (folder / package.CONFIG).write_text(json.dumps(config | {"label_names": ["cat", "a\x1fb", "dog"]}))
    (folder / package.EVALUATION).unlink()
    seal(folder)
    return zipped(folder)


def crooked_confusion(folder):
    told = json.loads((folder / package.EVALUATION).read_text())
    told["metrics"]["confusion"] = [[1]]
    (folder / package.EVALUATION).write_text(json.dumps(told))
    seal(folder)
    return zipped(folder)


def endless_number(folder):
    told = json.loads((folder / package.EVALUATION).read_text())
    told["metrics"]["images"] = 10**200
    (folder / package.EVALUATION).write_text(json.dumps(told))
    seal(folder)
    return zipped(folder)


def long_recipe(folder):
    told = json.loads((folder / package.EVALUATION).read_text())
    (folder / package.EVALUATION).write_text(json.dumps(told | {"recipe": {"a": "b" * 20_000}}))
    seal(folder)
    return zipped(folder)


def deep_recipe(folder):
    text = (folder / package.EVALUATION).read_text()
    (folder / package.EVALUATION).write_text(text.replace('"epochs": 3', '"a": ' + "[" * 5000 + "]" * 5000))
    seal(folder)
    return zipped(folder)


def leads_outside(folder):
    return zipped(folder, **{"../evil.json": b"{}"})


def held_out_of_others(folder):
    return keep_held_out(folder, len(LABELS) + 1)


def garbage(folder):
    return b"no zip at all"


@pytest.mark.parametrize(
    "spoil",
    [
        lying_hash,
        missing_file,
        no_manifest,
        with_pickle,
        pickled_weights,
        foreign_format,
        wrong_outputs,
        bad_preprocess,
        no_numbers,
        large_pictures,
        other_body,
        twins,
        control_characters,
        crooked_confusion,
        endless_number,
        long_recipe,
        deep_recipe,
        leads_outside,
        held_out_of_others,
        garbage,
    ],
)
def test_what_is_no_whole_package_is_refused_and_leaves_nothing(client, services, folder, spoil):
    answer = send(client, spoil(folder))
    assert answer.status_code == 422
    problem = answer.json()
    assert (problem["code"], bool(problem["detail"]), bool(problem["hint"])) == ("package_invalid", True, True)
    assert client.get("/v1/models").json()["data"] == []
    assert client.get("/v1/evaluations").json()["data"] == []
    assert not list((services.settings.cache_dir / "uploads").iterdir()), "nothing is left lying about"


def test_a_model_of_more_labels_than_a_data_set_may_have_is_refused(client, services, folder):
    services.settings = limited(services.settings, request_bytes=128 * 2**20, dataset_classes=2)
    problem = send(client, zipped(folder)).json()
    assert (problem["code"], problem["detail"]) == ("package_invalid", "The model has 3 labels; at most 2 are allowed.")


def test_labels_are_written_as_those_of_data_sets(client, folder, tmp_path):
    """Decomposed as by some systems, and with surrounding spaces: impossible to search for."""
    for name in (package.CONFIG, package.EVALUATION):
        text = (folder / name).read_text("utf-8").replace('"cat"', '" cafe\\u0301 "')
        (folder / name).write_text(text, "utf-8")
    seal(folder)
    model = send(client, zipped(folder)).json()
    labels = ["caf\N{LATIN SMALL LETTER E WITH ACUTE}", *LABELS[1:]]
    assert model["label_names"] == labels
    metrics = client.get(model["links"]["evaluation"]).json()["metrics"]
    assert (metrics["label_names"], metrics["per_class"][0]["label"]) == (labels, labels[0])
    with zipfile.ZipFile(BytesIO(client.get(model["links"]["package"]).content)) as file:
        file.extractall(tmp_path / "unpacked")
    assert package.verify(tmp_path / "unpacked").model_id == "mdl_1"
    assert Predictor.load(tmp_path / "unpacked", "cpu").label_names == labels


def test_a_package_that_unpacks_to_too_much_is_refused(client, services, folder):
    services.settings = limited(services.settings, request_bytes=2**20)
    with BytesIO() as buffer:
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("model.safetensors", b"\0" * (8 * 2**20))
        answer = send(client, buffer.getvalue())
    assert (answer.status_code, answer.json()["code"]) == (422, "package_invalid")


def test_the_form_has_one_package_and_a_name(client, folder):
    assert client.post("/v1/models", files={"files": ("a.zip", b"x")}).status_code == 422
    assert client.post("/v1/models", content=b"x", headers={"content-type": "application/zip"}).status_code == 415
    assert send(client, b"x", name="a/b").json()["code"] == "invalid_request"


def test_packages_are_checked_a_few_at_a_time(services):
    """Each check takes a core for a while; the rest wait their turn, and all other requests have theirs."""
    lock, now_running, most = threading.Lock(), 0, 0

    def check():
        nonlocal now_running, most
        with lock:
            now_running += 1
            most = max(most, now_running)
        together.wait(30)
        with lock:
            now_running -= 1

    async def all_at_once():
        async with anyio.create_task_group() as group:
            for _ in range(3 * usable_cores()):
                group.start_soon(services.checking, check)

    together = threading.Barrier(usable_cores())
    anyio.run(all_at_once)
    assert most == usable_cores()
