"""Models, their packages, aliases and evaluations."""

import csv
import io
import zipfile

from PIL import Image

from api.serialize.confusion_matrix import draw_confusion
from db import registry
from db.models import Model
from tsukiji.ids import new_id


def test_model_is_found_by_id_alias_and_name(client, model):
    for word in (model, "production", "sushi"):
        found = client.get(f"/v1/models/{word}").json()
        assert found["id"] == model
    assert found["aliases"] == ["production"]
    assert found["image_size"] == 224
    assert found["links"]["evaluation"] == f"/v1/evaluations/{found['evaluation_id']}"
    assert client.get("/v1/models").json()["data"] == [found]


def test_package_is_a_zip_of_its_files(client, model):
    answer = client.get(f"/v1/models/{model}/package")
    assert answer.headers["content-type"] == "application/zip"
    assert "sushi.zip" in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as package:
        assert package.testzip() is None
        assert package.read("model.safetensors") == b"weights!!"
        assert {entry.compress_type for entry in package.infolist()} == {zipfile.ZIP_STORED}
    assert client.get(f"/v1/models/{model}/package").content == answer.content


def test_alias_protects_its_model(client, model):
    refused = client.delete(f"/v1/models/{model}")
    assert (refused.status_code, refused.headers["x-should-retry"]) == (409, "false")
    assert client.delete("/v1/aliases/production").status_code == 204
    assert client.delete(f"/v1/models/{model}").status_code == 204
    assert client.get(f"/v1/models/{model}").status_code == 404


def test_aliases(client, model):
    put = client.put("/v1/aliases/canary", json={"model": "sushi"})
    assert put.json()["model_id"] == model
    assert client.get("/v1/aliases/canary").json()["name"] == "canary"
    assert [alias["name"] for alias in client.get("/v1/aliases").json()["data"]] == ["canary", "production"]
    assert client.put("/v1/aliases/canary", json={"model": "nope"}).status_code == 404
    assert client.get("/v1/aliases/nope").status_code == 404


def second_model(services):
    with services.database.transaction() as session:
        row = Model(
            id=new_id("mdl"),
            name="newer",
            backbone="resnet34",
            label_names=["a", "b"],
            recipe={},
            accuracy=None,
            bytes=1,
        )
        registry.add_model(session, row, {"manifest.json": ("0" * 64, 2)})
        return row.id


def test_an_alias_is_rolled_back(client, services, model, key):
    newer = second_model(services)
    refused = client.post("/v1/aliases/production/rollback")
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    assert refused.json()["hint"]
    client.put("/v1/aliases/production", json={"model": "newer"})
    client.put("/v1/aliases/production", json={"model": "newer"})
    assert client.post("/v1/aliases/production/rollback").json()["model_id"] == model
    assert client.get("/v1/models/production").json()["id"] == model
    assert client.post("/v1/aliases/production/rollback").json()["model_id"] == newer, "and back again"
    moves = client.get("/v1/aliases/production/history").json()["data"]
    assert [move["model_id"] for move in moves] == [newer, model, newer, model], "newest first, each move once"
    assert moves[-1]["moved_by"] is None, "nobody's key: the fixture set it"
    assert moves[0]["moved_by"].startswith("key_")
    assert moves[0]["at"] >= moves[-1]["at"]


def test_no_way_back_to_a_model_that_is_gone(client, services, model):
    client.put("/v1/aliases/production", json={"model": second_model(services)})
    assert client.delete(f"/v1/models/{model}").status_code == 204
    refused = client.post("/v1/aliases/production/rollback")
    assert (refused.status_code, model in refused.json()["detail"]) == (409, True)
    exists = [move["model_exists"] for move in client.get("/v1/aliases/production/history").json()["data"]]
    assert exists == [True, False]


def test_the_history_outlives_the_alias(client, model):
    client.delete("/v1/aliases/production")
    moves = client.get("/v1/aliases/production/history").json()["data"]
    assert [move["model_id"] for move in moves] == [None, model]
    assert client.post("/v1/aliases/production/rollback").status_code == 404
    assert client.get("/v1/aliases/never/history").status_code == 404


def test_a_model_says_what_made_it(client, services, model):
    with services.database.transaction() as session:
        row = session.get_one(Model, model)
        row.versions, row.weights_source = {"torch": "2.11"}, "torchvision"
    found = client.get(f"/v1/models/{model}").json()
    assert (found["versions"], found["weights_source"]) == ({"torch": "2.11"}, "torchvision")


def test_evaluation_in_numbers(client, model):
    listed = client.get("/v1/evaluations", params={"model": "production"}).json()["data"]
    found = client.get(listed[0]["links"]["self"]).json()
    assert found["metrics"]["accuracy"] == 0.75
    table = list(csv.reader(io.StringIO(client.get(found["links"]["confusion_csv"]).text)))
    assert table[0][1:] == ["eel", "squid", "tuna"]
    assert table[1] == ["eel", "1", "1", "0"]
    cell = client.get(found["links"]["items"], params={"true": "eel", "predicted": "squid"}).json()["data"]
    assert [item["name"] for item in cell] == ["1.png"]
    assert len(client.get(found["links"]["items"]).json()["data"]) == 4


def test_evaluation_as_a_picture(client, model):
    listed = client.get("/v1/evaluations").json()["data"]
    answer = client.get(listed[0]["links"]["confusion_png"])
    assert answer.headers["content-type"] == "image/png"
    with Image.open(io.BytesIO(answer.content)) as image:
        assert min(image.size) > 300


def test_many_classes_and_odd_names_are_drawn():
    count = 90
    matrix = [[int(row == column) for column in range(count)] for row in range(count)]
    with Image.open(io.BytesIO(draw_confusion([f"${n}$_^" for n in range(count)], matrix))) as image:
        assert max(image.size) < 4000
    assert draw_confusion(["$a$b_{", "c"], [[0, 0], [0, 0]]).startswith(b"\x89PNG")


def test_suspected_labels_are_listed_most_suspicious_first(client, services, model):
    rows = [
        {
            "rank": rank,
            "image_id": None if rank == 3 else f"img_{rank}",
            "name": f"{rank}.png",
            "sha256": f"{rank:064}",
            "split": "train",
            "label": "eel",
            "suggested_label": "tuna",
            "score": rank / 10,
        }
        for rank in (2, 1, 3)
    ]
    with services.database.transaction() as session:
        registry.add_suspects(session, model, rows)
    place = client.get(f"/v1/models/{model}").json()["links"]["suspects"]
    first = client.get(place, params={"limit": 2}).json()
    rest = client.get(place, params={"limit": 2, "cursor": first["next_cursor"]}).json()
    found = first["data"] + rest["data"]
    assert [(row["rank"], row["label"], row["suggested_label"], row["score"]) for row in found] == [
        (1, "eel", "tuna", 0.1),
        (2, "eel", "tuna", 0.2),
        (3, "eel", "tuna", 0.3),
    ]
    assert found[0]["links"]["original"] == "/v1/images/img_1/content"
    assert found[2]["links"] == {}
    assert client.get("/v1/models/nope/suspects").status_code == 404


def test_a_model_without_suspects_has_an_empty_list(client, model):
    assert client.get(f"/v1/models/{model}/suspects").json()["data"] == []
