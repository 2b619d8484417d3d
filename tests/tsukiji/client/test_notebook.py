import base64
import io
import re
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from devtools.scripted_service import Answer, comparison, dataset, evaluation, failed, job, lines, page, prediction
from tsukiji import Client, types
from tsukiji.client._records import Comparison, Prediction

PREDICT = "/v1/models/production/predict"
ELSEWHERE = re.compile(r"(?:src|href)=\"(?!data:)|url\(|<script|@import")
NASTY = "<script>alert('x')</script>"


@pytest.mark.parametrize(
    "record",
    [
        types.Evaluation.model_validate(
            evaluation(
                metrics={**evaluation()["metrics"], "label_names": ["a label"] * 500, "confusion": [[1] * 9] * 9}
            )
        ),
        types.Job.model_validate(failed("nan_loss", metadata={"a": "b" * 400}, engine={"x": "y" * 400})),
        types.Dataset.model_validate(dataset(description="d" * 900, classes=[{"label": "cat", "images": 3}] * 40)),
        types.Comparison.model_validate(comparison()),
        types.Prediction.model_validate(prediction(custom_id="c" * 900)),
    ],
    ids=lambda record: type(record).__name__,
)
def test_a_repr_is_one_line(record):
    assert len(repr(record)) <= 180
    assert "\n" not in repr(record)
    assert repr(record).startswith(f"{type(record).__name__}(")


def test_a_repr_says_what_matters():
    assert repr(types.Job.model_validate(job("running", phase="training"))) == (
        "Job(id='trn_1', status='running', phase='training', progress=50%)"
    )
    assert "accuracy=0.75" in repr(types.Evaluation.model_validate(evaluation()))
    assert "error='nan_loss'" in repr(types.Job.model_validate(failed("nan_loss")))


def many_labels(count):
    names = [f"label {number} {NASTY}" for number in range(count)]
    rows = [{"label": name, "precision": None, "recall": 0.5, "f1": None, "support": 2} for name in names]
    counts = [[int(one == other) for other in range(count)] for one in range(count)]
    counts[7][9] = 5
    metrics = evaluation()["metrics"] | {"label_names": names, "per_class": rows, "confusion": counts}
    return evaluation(metrics=metrics)


def test_html_is_escaped_bounded_and_asks_nothing_of_anyone(client, service):
    service.answer("GET", "/v1/evaluations/evl_1", many_labels(100))
    classes = [{"label": f"{NASTY} {number}", "images": number} for number in range(100)]
    service.answer("GET", "/v1/datasets/pets", dataset(NASTY, classes=classes, images=4950))
    service.answer("GET", "/v1/trainings/trn_1", job(phase=NASTY))
    scores = [{"label": NASTY, "score": 0.9}]
    shown = [
        client.evaluations.get("evl_1")._repr_html_(),
        client.datasets.get("pets")._repr_html_(),
        client.trainings.get("trn_1")._repr_html_(),
        Comparison.model_validate(comparison(summary=NASTY))._repr_html_(),
        Prediction.model_validate(prediction(NASTY, scores=scores))._repr_html_(),
    ]
    for text in shown:
        assert len(text) < 200_000
        assert not ELSEWHERE.search(text)
    assert "label 7 " in shown[0]  # of the most errors
    assert "25 of 100 labels" in shown[0]


@pytest.mark.parametrize("connect", [Client])  # the other has no thumbnails
def test_a_dataset_shows_bars_and_a_few_thumbnails(client, service):
    classes = [{"label": "cat", "images": 30}, {"label": None, "images": 10}]
    service.answer("GET", "/v1/datasets/pets", dataset(classes=classes, images=40))
    service.answer("GET", "/v1/datasets/dst_1/images", {"data": [{"id": "img_1"}, {"id": "img_2"}]})
    service.answer("GET", "/v1/images/img_1/content", b"RIFF....WEBPdata")
    pets = client.datasets.get("pets")
    assert len(service.asked) == 1  # nothing is fetched before it is shown
    text = pets._repr_html_()
    assert service.asked_for("GET", "/v1/datasets/dst_1/images")[0].query == {"limit": ["8"]}
    assert text.count("<img ") == 1  # the other is missing, which stops nobody
    assert base64.b64encode(b"RIFF....WEBPdata").decode() in text
    assert "unlabelled" in text
    assert "40 images" in text


def test_a_job_shows_its_state_and_a_bar(client, service):
    service.answer("GET", "/v1/trainings/trn_1", job(phase="training"), failed("nan_loss"))
    assert re.search(r"width:50\.0%.*training 50%", client.trainings.get("trn_1")._repr_html_())
    assert "it was nan_loss" in client.trainings.get("trn_1")._repr_html_()


def test_a_prediction_shows_picture_bars_boxes_and_heatmap(client, service):
    found = prediction(
        image={"width": 8, "height": 6},
        tags=[{"label": "cat", "score": 0.8, "box": [1, 1, 4, 4]}],
        heatmap={"label": "cat", "width": 2, "height": 1, "values": [[0.0, 1.0]], "box": [0, 0, 8, 6]},
        abstained=True,
        decision=None,
        abstain_reason="none_of_these",
    )
    service.answer("POST", PREDICT, job("succeeded", "prd_1", "prediction", result={"predictions": [found]}))
    text = client.predict(np.zeros((6, 8, 3), np.uint8), "production")._repr_html_()
    assert "data:image/png;base64," in text
    assert '<rect x="4.0" y="0.0" width="4.0" height="6.0"' in text
    assert '<rect x="1" y="1" width="3" height="3" fill="none"' in text
    assert "90.0%" in text
    assert "none of these" in text


@pytest.mark.parametrize(
    ("array", "mode"),
    [((5, 7), "L"), ((5, 7, 1), "L"), ((5, 7, 3), "RGB"), ((5, 7, 4), "RGBA")],
)
def test_arrays_and_pillow_images_arrive_without_loss(client, service, array, mode):
    service.answer("POST", PREDICT, job("succeeded", "prd_1", "prediction", result={"predictions": [prediction()]}))
    pixels = np.random.default_rng(3).integers(0, 256, array, np.uint8)
    image = Image.fromarray(pixels.reshape(5, 7) if mode == "L" else pixels)
    client.predict(pixels[:, ::-1], "production")
    client.predict(image, "production")
    sent = [Image.open(_file(asked.parts)) for asked in service.asked]
    assert [one.mode for one in sent] == [mode, mode]
    assert np.array_equal(np.asarray(sent[0]).reshape(array), pixels[:, ::-1])
    assert np.array_equal(np.asarray(sent[1]).reshape(array), pixels)


def _file(parts):
    return io.BytesIO(next(content for name, _, content in parts if name == "files"))


def test_what_is_no_picture_is_refused_in_plain_words(client):
    with pytest.raises(TypeError, match="uint8"):
        client.predict(np.zeros((4, 4, 3)), "production")
    with pytest.raises(ValueError, match="3 x 4 x 2"):
        client.predict(np.zeros((3, 4, 2), np.uint8), "production")
    with pytest.raises(TypeError, match="not int"):
        client.predict(3, "production")


def two_pages(service):
    def answer(asked):
        if "cursor" in asked.query:
            return page(dataset("c"))
        return page(dataset("a"), dataset("b"), cursor="x")

    service.answer("GET", "/v1/datasets", answer)


def test_a_list_has_len_index_and_slices_and_reads_no_more_than_needed(client, service):
    two_pages(service)
    found = client.datasets.list()
    assert found[1].name == "b"
    assert found
    assert [one.name for one in found[:2]] == ["a", "b"]
    assert len(service.asked) == 1
    assert [one.name for one in found] == ["a", "b", "c"]
    assert len(found) == 3
    assert (found[-1].name, [one.name for one in found[::-1]]) == ("c", ["c", "b", "a"])
    with pytest.raises(IndexError):
        found[3]
    assert len(service.asked) == 3  # iterating keeps nothing, `len` does
    assert repr(found) == "<Paged: 3 records>"


def test_making_a_list_of_it_asks_once_for_each_page(client, service):
    two_pages(service)
    assert len(list(client.datasets.list())) == 3
    assert len(service.asked) == 2


def test_data_frames(client, service):
    two_pages(service)
    frame = client.datasets.list().to_pandas()
    assert list(frame["name"]) == ["a", "b", "c"]
    assert "links" not in frame
    service.answer("GET", "/v1/batches/bat_1", job("succeeded", "bat_1", "batch"))
    rows = [prediction(image={"width": 3}), prediction("b.png", "dog")]
    service.answer("GET", "/v1/batches/bat_1/results", Answer(lines(*rows)))
    results = client.batches.get("bat_1").results(label="cat").to_pandas()
    assert list(results["custom_id"]) == ["a.png", "b.png"]
    assert isinstance(results, pd.DataFrame)
    assert results["image.width"][0] == 3


def test_without_pandas_the_extra_is_named(client, service, monkeypatch):
    two_pages(service)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"tsukiji\[pandas\]"):
        client.datasets.list().to_pandas()
