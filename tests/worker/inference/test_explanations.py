"""Tags and heatmaps of a chunk: beside answers that stay as they were, in pixels of the picture that was sent."""

from contextlib import nullcontext

import numpy as np
import pytest

from db import registry
from db.models import Evaluation
from tests.worker.conftest import picture, work
from tests.worker.jobs.test_batches import results, run_chunks
from tsukiji.explain.heatmap_validation import HeatmapValidation
from tsukiji.explain.tags import Tag
from tsukiji.ids import new_id
from tsukiji.jobs import JobKind
from worker.inference import explanation_calibration, explanations
from worker.jobs.batches import plan

FILES = {"1.png": 1, "bad.jpg": b"no", "2.png": 2}


@pytest.fixture
def classify(services, submit, model, models, archive):
    def run(**options):
        blob = services.store.put(archive(FILES))
        source = {"type": "archive", "filename": "x.zip"}
        request = {"model": model.id, "label_names": model.label_names, "top_k": 3, "threshold": 0, "input": source}
        job = submit.job(JobKind.BATCH, request=request | options, model_id=model.id, upload_sha256=blob.sha256)
        work(services, job.id, plan)
        run_chunks(services, models)
        assert submit.find(job).status == "succeeded"
        return results(services, job)

    return run


@pytest.fixture
def held_out(services, model, tmp_path):
    """The model's own evaluation, with this many pictures."""

    def add(count):
        items = []
        for number in range(count):
            picture(number).save(tmp_path / "picture.png")
            label = ("red", "blue")[number % 2]
            blob = services.store.put(tmp_path / "picture.png")
            items.append(
                {"seq": number, "name": f"{number}.png", "sha256": blob.sha256, "true_label": label}
                | {"predicted_label": label, "score": 1.0, "loss": 0.0, "probabilities": b""}
            )
        evaluation = Evaluation(id=new_id("evl"), model_id=model.id, split="valid", metrics={}, errored=0)
        with services.database.transaction() as session:
            registry.add_evaluation(session, evaluation, items)

    return add


def good_heatmaps(monkeypatch, beats_random=0.95):
    tried = []

    def pretend(_predictor, images):
        tried.append(len(images))
        return HeatmapValidation(len(images), {"occlusion": beats_random})

    monkeypatch.setattr(explanation_calibration, "try_maps", pretend)
    return tried


def test_what_nobody_asked_for_is_not_there(classify):
    assert [(row.tags, row.heatmap) for row in classify()] == [(None, None)] * 3


def test_tags_stand_beside_the_answer_that_is_the_same_without(classify):
    plain, tagged = classify(), classify(tags=True)
    assert [row.probabilities for row in plain] == [row.probabilities for row in tagged]
    assert tagged[1].error["code"] == "not_an_image"
    assert tagged[1].tags is None
    for row in (tagged[0], tagged[2]):
        assert isinstance(row.tags, list)
        for tag in row.tags:
            assert tag.keys() == {"label", "score", "known_score", "box"}


def test_boxes_are_in_pixels_of_the_whole_picture(services, monkeypatch, classify):
    monkeypatch.setattr(explanations, "find_tags", lambda *_: [Tag("red", 0.9, None, (2, 3, 12, 9))])
    monkeypatch.setattr(
        explanations, "decode_part", lambda *_: nullcontext(explanations.Part(picture(1), (100, 200, 148, 248)))
    )
    row = classify(tags=True)[0]
    assert row.tags == [{"label": "red", "score": 0.9, "known_score": None, "box": [104, 206, 124, 218]}]


def test_a_model_without_enough_held_out_images_shows_no_heatmap(classify, services, model):
    rows = classify(heatmap="top")
    assert rows[0].heatmap["label"] == rows[0].label
    assert "held-out images" in rows[0].heatmap["withheld"]
    assert rows[1].heatmap is None
    with services.database.reading() as session:
        assert registry.parity(session, model.id)["heatmap"]["images"] == 0


def test_a_model_whose_heatmaps_fail_shows_none(classify, held_out, monkeypatch):
    held_out(12)
    good_heatmaps(monkeypatch, beats_random=0.5)
    assert "50% of 12" in classify(heatmap="red")[0].heatmap["withheld"]


def test_heatmaps_are_numbers_over_a_box_and_tried_once(classify, held_out, monkeypatch):
    held_out(12)
    tried = good_heatmaps(monkeypatch)
    first, _, last = classify(heatmap="red")
    for row in (first, last):
        assert (row.heatmap["label"], row.heatmap["box"]) == ("red", [0, 0, 24, 24])
        values = np.array(row.heatmap["values"])
        assert values.shape == (row.heatmap["height"], row.heatmap["width"])
        assert 0 <= values.min() <= values.max() <= 1
    classify(heatmap="top")
    assert tried == [12]


def test_windows_are_learnt_once_from_held_out_images_of_one_label(classify, held_out, monkeypatch):
    held_out(22)
    taught = []
    monkeypatch.setattr(
        explanation_calibration, "learn", lambda _, examples: taught.append([kind for _, kind in examples])
    )
    classify(tags=True)
    classify(tags=True)
    assert [(len(kinds), set(kinds)) for kinds in taught] == [(22, {0, 1})]


def test_heatmaps_tried_before_there_were_methods_are_tried_again(classify, services, model, held_out, monkeypatch):
    held_out(12)
    tried = good_heatmaps(monkeypatch)
    with services.database.transaction() as session:
        registry.set_parity(session, model.id, "heatmap", {"images": 12, "beats_random": 0.9, "withheld": None})
    assert classify(heatmap="red")[0].heatmap["method"] == "occlusion"
    assert tried == [12]
