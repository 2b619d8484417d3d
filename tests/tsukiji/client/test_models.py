import pytest

import tsukiji
from devtools.scripted_service import (
    NOW,
    Answer,
    batch_drift,
    comparison,
    drift,
    evaluation,
    failed,
    job,
    model,
    page,
    prediction,
    problem,
)

PREDICT = "/v1/models/production/predict"


def answered(*predictions):
    return job("succeeded", "prd_1", "prediction", result={"predictions": list(predictions)})


def test_one_picture_one_prediction(client, service, tmp_path):
    (tmp_path / "fish.png").write_bytes(b"fish")
    service.answer("POST", PREDICT, answered(prediction("fish.png")))
    found = client.predict(tmp_path / "fish.png", "production", top_k=2, threshold=0.25)
    assert found.label == "cat"
    (asked,) = service.asked
    assert ("files", "fish.png", b"fish") in asked.parts
    assert (asked.field("top_k"), asked.field("threshold")) == (["2"], ["0.25"])
    assert asked.headers["prefer"] == "wait=10"


def test_several_pictures_several_predictions(client, service):
    service.answer("POST", PREDICT, answered(prediction("1"), prediction("2", "dog")))
    assert [found.label for found in client.predict([b"one", b"two"], "production")] == ["cat", "dog"]
    assert [content for name, _, content in service.asked[0].parts if name == "files"] == [b"one", b"two"]


def test_a_prediction_that_is_not_recorded_has_no_job(client, service):
    bad = prediction("1", None, status="errored", error={"code": "truncated", "title": "cut"})
    service.answer("POST", PREDICT, Answer({"model": "mdl_1", "predictions": [bad]}))
    assert client.predict(b"one", "production", record=False).error.code == "truncated"
    assert service.asked[0].query == {"record": ["false"]}
    assert service.asked[0].field("record") == []


def test_a_heatmap_is_saved_or_its_absence_is_told(client, service, tmp_path):
    png = "/v1/predictions/prd_1/results/0/heatmap.png"
    found = prediction(heatmap={"label": "cat", "width": 1, "height": 1, "values": [[1.0]], "links": {"png": png}})
    service.answer("POST", PREDICT, answered(found))
    service.answer("GET", png, b"picture")
    made = client.predict(b"x", "production", heatmap="top", tags=True)
    assert [service.asked[0].field(name) for name in ("heatmap", "tags")] == [["top"], ["True"]]
    assert client.save_heatmap(made, tmp_path / "map.png").read_bytes() == b"picture"
    service.answer("POST", PREDICT, answered(prediction(heatmap={"label": "cat", "withheld": "they mislead"})))
    with pytest.raises(ValueError, match="they mislead"):
        client.save_heatmap(client.predict(b"x", "production", heatmap="top"), tmp_path / "map.png")


def test_a_slow_prediction_is_waited_for(client, service):
    service.answer("POST", PREDICT, Answer(job("running", "prd_1", "prediction"), 202))
    service.answer("GET", "/v1/jobs/prd_1", answered(prediction()))
    assert client.predict(b"picture", "production").label == "cat"


def test_a_prediction_that_failed(client, service):
    service.answer("POST", PREDICT, failed("not_an_image", "prd_1"))
    with pytest.raises(tsukiji.JobFailedError, match="not_an_image"):
        client.predict(b"picture", "production")


def test_a_model_predicts_downloads_and_knows_its_evaluation(client, service, tmp_path):
    service.answer("GET", "/v1/models", page(model()))
    service.answer("POST", "/v1/models/mdl_1/predict", answered(prediction()))
    service.answer("GET", "/v1/models/mdl_1/package", b"zipped")
    service.answer("GET", "/v1/evaluations/evl_1", evaluation())
    (found,) = client.models.list()
    assert found.predict([b"x"])[0].label == "cat"
    assert found.download(tmp_path / "model.zip").read_bytes() == b"zipped"
    assert found.evaluation.metrics.accuracy == 0.75


def test_a_package_is_imported_under_its_name_or_another(client, service, tmp_path):
    (tmp_path / "fish.zip").write_bytes(b"zipped")
    service.answer("POST", "/v1/models", Answer(model(imported_from="mdl_far"), 201))
    assert client.models.import_package(tmp_path / "fish.zip").imported_from == "mdl_far"
    client.models.import_package(tmp_path / "fish.zip", "eels")
    plain, named = service.asked
    assert plain.parts == [("package", "fish.zip", b"zipped")]
    assert named.field("name") == ["eels"]


def test_a_package_that_is_none_is_said_so(client, service, tmp_path):
    (tmp_path / "fish.zip").write_bytes(b"zipped")
    service.answer("POST", "/v1/models", problem(422, "package_invalid", "README.md was altered"))
    with pytest.raises(tsukiji.UnprocessableEntityError) as raised:
        client.models.import_package(tmp_path / "fish.zip")
    assert raised.value.code == "package_invalid"


def test_an_export_is_a_job_then_a_file(client, service, tmp_path):
    export = {"model_id": "mdl_1", "format": "onnx", "sha256": "0", "bytes": 4, "created_at": NOW}
    service.answer("GET", "/v1/models/mdl_1", model())
    service.answer("POST", "/v1/models/mdl_1/exports", Answer(job("running", "exp_1", "export"), 202))
    service.answer("GET", "/v1/jobs/exp_1", job("succeeded", "exp_1", "export"))
    service.answer("GET", "/v1/models/mdl_1/exports", page(export | {"facts": {"top1_agreement": 1.0}}))
    service.answer("GET", "/v1/models/mdl_1/exports/onnx", b"onnx")
    found = client.models.get("mdl_1")
    assert found.export("onnx").wait().status == "succeeded"
    assert service.asked_for("POST", "/v1/models/mdl_1/exports")[0].json == {"format": "onnx"}
    assert [made.facts["top1_agreement"] for made in client.models.exports(found)] == [1.0]
    assert client.models.download_export(found, "onnx", tmp_path / "m.onnx").read_bytes() == b"onnx"


def test_pictures_and_tables_of_an_evaluation(client, service):
    service.answer("GET", "/v1/evaluations", page(evaluation()))
    service.answer("GET", "/v1/evaluations/evl_1/confusion.png", b"\x89PNG")
    service.answer(
        "GET", "/v1/evaluations/evl_1/confusion.csv", Answer(b"cat,dog", headers={"Content-Type": "text/csv"})
    )
    (found,) = client.evaluations.list(model="mdl_1")
    assert found.confusion_png() == b"\x89PNG"
    assert found.confusion_csv() == "cat,dog"
    assert service.asked[0].query == {"model": ["mdl_1"]}


def test_aliases(client, service):
    record = {"object": "alias", "name": "production", "model_id": "mdl_1", "updated_at": NOW}
    service.answer("PUT", "/v1/aliases/production", record)
    service.answer("GET", "/v1/aliases/production", record)
    service.answer("GET", "/v1/aliases", page(record))
    service.answer("DELETE", "/v1/aliases/production", Answer(b"", 204))
    assert client.aliases.set("production", "mdl_1").model_id == "mdl_1"
    assert service.asked[0].json == {"model": "mdl_1"}
    assert client.aliases.get("production") == next(iter(client.aliases.list()))
    client.aliases.delete("production")
    assert service.asked[-1].method == "DELETE"


def test_an_alias_goes_back(client, service):
    record = {"object": "alias", "name": "production", "model_id": "mdl_1", "updated_at": NOW}
    move = {"model_id": "mdl_1", "moved_by": "key_1", "at": NOW, "model_exists": True}
    service.answer("POST", "/v1/aliases/production/rollback", record)
    service.answer("GET", "/v1/aliases/production/history", page(move))
    assert client.aliases.rollback("production").model_id == "mdl_1"
    assert [found.moved_by for found in client.aliases.history("production")] == ["key_1"]


def test_an_evaluation_is_started_and_read(client, service):
    service.answer("POST", "/v1/evaluations", Answer(job("queued", "evj_1", "evaluation"), 202))
    service.answer("GET", "/v1/jobs/evj_1", job("succeeded", "evj_1", result={"evaluation_id": "evl_1"}))
    service.answer("GET", "/v1/evaluations/evl_1", evaluation())
    started = client.evaluations.create(model="production", dataset="pets", split="test")
    assert service.asked[0].json == {"model": "production", "dataset": "pets", "split": "test", "metadata": {}}
    assert started.evaluation is None
    assert started.wait().evaluation.metrics.accuracy == 0.75


def test_two_evaluations_are_compared(client, service):
    service.answer("GET", "/v1/evaluations/compare", comparison())
    found = client.evaluations.compare("evl_1", "evl_2")
    assert service.asked[0].query == {"a": ["evl_1"], "b": ["evl_2"]}
    assert (found.summary, found.per_class[0].label) == ("-2.5 points, p = 0.5, 1 class worse", "dog")


def test_the_worst_mistakes_and_the_matrix_in_fractions(client, service):
    service.answer("GET", "/v1/evaluations/evl_1", evaluation())
    service.answer("GET", "/v1/evaluations/evl_1/items", page())
    service.answer("GET", "/v1/evaluations/evl_1/confusion.csv", b"x")
    found = client.evaluations.get("evl_1")
    assert list(found.items(order="loss")) == []
    assert service.asked[-1].query == {"order": ["loss"]}
    found.confusion_csv(normalise=True)
    assert service.asked[-1].query == {"normalise": ["true"]}


def test_single_images(client, service):
    image = {"id": "img_1", "dataset_id": "dst_1", "name": "a.png", "label": None, "split": None, "sha256": "0"}
    image |= {"width": 1, "height": 1, "bytes": 1, "format": "PNG", "created_at": NOW}
    service.answer("GET", "/v1/images/img_1", image)
    service.answer("GET", "/v1/images/img_1/content", b"pixels")
    service.answer("GET", "/v1/datasets/pets/images", page(image))
    service.answer("DELETE", "/v1/images/img_1", Answer(b"", 204))
    assert client.images.content(client.images.get("img_1"), "thumb") == b"pixels"
    assert service.asked[-1].query == {"variant": ["thumb"]}
    assert [found.id for found in client.images.list("pets", label="cat", split="train")] == ["img_1"]
    assert service.asked[-1].query == {"label": ["cat"], "split": ["train"]}
    client.images.delete("img_1")
    assert service.asked[-1].method == "DELETE"


def test_the_threshold_of_none_of_these_is_sent_where_it_is_given(client, service):
    service.answer("POST", PREDICT, answered(prediction()))
    client.predict(b"one", "production")
    client.predict(b"two", "production", min_known=0.0)
    assert [asked.field("min_known") for asked in service.asked] == [[], ["0.0"]]


def test_suspected_labels_are_listed_page_by_page(client, service):
    rows = [
        {
            "rank": rank,
            "image_id": None,
            "name": f"{rank}.png",
            "sha256": "0" * 64,
            "split": "train",
            "label": "cat",
            "suggested_label": "dog",
            "score": 0.1,
        }
        for rank in (1, 2)
    ]
    service.answer("GET", "/v1/models/pets", model())
    service.answer("GET", "/v1/models/mdl_1/suspects", page(rows[0], cursor="2"), page(rows[1]))
    assert [found.name for found in client.models.get("pets").suspects()] == ["1.png", "2.png"]


def test_the_drift_of_a_model(client, service):
    service.answer("GET", "/v1/models/pets", model())
    service.answer("GET", "/v1/models/mdl_1/drift", drift(batch_drift(strange=9, exceeded=True)))
    found = client.models.get("pets").drift()
    assert (found.data[0].strange, found.data[0].exceeded, found.held_out.images) == (9, True, 80)
