"""A model's figures and what is done with it, without script."""

import re

import numpy as np
import pytest

from db import registry
from db.models import Evaluation, Model
from tests.api.conftest import LABELS
from tsukiji.guarantee import selective
from tsukiji.ids import new_id
from tsukiji.labels import join_labels


def add_model(services, labels, cells, *, evaluated=True, dataset=None, kind="single_label", further=None, first=0):
    """Insert a model whose evaluation has these (true, predicted, image id)."""
    names = {label: at for at, label in enumerate(labels)}
    confusion = [[0] * len(labels) for _ in labels]
    for true, predicted, _ in cells:
        if kind == "single_label":
            confusion[names[true]][names[predicted]] += 1
    rows = [
        {"label": label, "precision": 1.0, "recall": 0.5 + at / 200, "f1": None, "support": sum(confusion[at])}
        for label, at in names.items()
    ]
    right = sum(true == predicted for true, predicted, _ in cells)
    metrics = {"accuracy": right / len(cells), "loss": 0.5, "images": len(cells), "label_names": labels}
    metrics |= {"per_class": rows, "confusion": confusion if kind == "single_label" else []} | (further or {})
    recipe = {"preset": "quick", "image_size": 224, "pretrained": True}
    facts = {"backbone": "resnet18", "label_names": labels, "recipe": recipe, "accuracy": right / len(cells)}
    with services.database.transaction() as session:
        row = Model(id=new_id("mdl"), name="fish", bytes=1, kind=kind, dataset_id=dataset, **facts)
        session.add(row)
        session.flush()
        if evaluated:
            found = Evaluation(id=new_id("evl"), model_id=row.id, split="valid", metrics=metrics, dataset_id=dataset)
            common = {"score": 0.6, "probabilities": b""}
            items = [
                common
                | {
                    "seq": seq,
                    "name": f"{seq}.png",
                    "sha256": f"{first + seq:064}",
                    "image_id": image,
                    "loss": seq / 10,
                }
                | {"true_label": true, "predicted_label": predicted}
                for seq, (true, predicted, image) in enumerate(cells)
            ]
            registry.add_evaluation(session, found, items)
        return row.id


@pytest.fixture
def images(client, dataset):
    return [row["id"] for row in client.get(f"/v1/datasets/{dataset}/images").json()["data"]]


def test_evaluate_leads_to_the_newest_model_or_to_training(browser, services, dataset):
    assert f'href="/datasets/{dataset}/train"' in browser.get(f"/datasets/{dataset}/evaluate").text
    made = add_model(services, LABELS, [("eel", "eel", None)], dataset=dataset)
    assert browser.get(f"/datasets/{dataset}/evaluate").url.path == f"/models/{made}"


def test_cells_of_the_matrix_open_their_pictures(browser, services, dataset, images):
    cells = [("eel", "eel", images[0]), ("eel", "tuna", images[1]), ("tuna", "tuna", images[4])]
    made = add_model(services, ["eel", "tuna"], cells, dataset=dataset)
    page = browser.get(f"/models/{made}").text
    assert "Worst mistakes" in page
    (link,) = re.findall(r'<td class="wrong-\d"><a href="([^"#]+)', page)
    cell = browser.get(link.replace("&amp;", "&")).text
    assert "eel taken for tuna" in cell
    assert f"/v1/images/{images[1]}/content" in cell
    assert f"/v1/images/{images[0]}/content" not in cell


def test_a_picture_that_was_relabelled_since_says_so(browser, client, services, dataset, images):
    made = add_model(services, ["eel", "tuna"], [("eel", "tuna", images[0]), ("eel", "eel", None)], dataset=dataset)
    act = {"act": "relabel", "label": "squid", "images": [images[0]]}
    assert client.post(f"/v1/datasets/{dataset}/revisions", json=act).status_code == 201
    assert "now squid" in browser.get(f"/models/{made}").text
    assert "deleted" in browser.get(f"/models/{made}?true=eel&predicted=eel").text


def test_a_hundred_labels_begin_with_what_is_confused(browser, services):
    labels = [f"kind {number:03}" for number in range(100)]
    cells = [(label, label, None) for label in labels] + [("kind 070", "kind 003", None)] * 5
    made = add_model(services, labels, cells)
    page = browser.get(f"/models/{made}").text
    assert page.index("Most confused") < page.index("The 20 most confused labels")
    matrix = page.split('<table class="matrix', 1)[1]
    assert re.findall(r'title="(kind \d+)"', matrix)[:2] == ["kind 003", "kind 070"]
    assert page.count('scope="row"') == 21
    whole = browser.get(f"/models/{made}?labels=all").text
    assert whole.count('scope="row"') == 101


def test_the_table_by_label_is_sorted_by_links(browser, services):
    made = add_model(services, LABELS, [(label, label, None) for label in [*LABELS, "tuna", "tuna"]])

    def order(sort):
        page = browser.get(f"/models/{made}?sort={sort}").text
        return re.findall(r"data-panel>(\w+)</a></td><td", page.split('id="labels"')[1])

    assert order("recall") == ["eel", "squid", "tuna"]
    assert order("-support")[0] == "tuna"
    assert order("-label") == ["tuna", "squid", "eel"]


def test_several_labels_have_a_table_in_place_of_the_matrix(browser, services):
    counts = {"threshold": 0.4, "average_precision": 0.9, "true_positives": 3, "true_negatives": 1}
    per_label = [counts | {"label": label, "false_positives": 7, "false_negatives": 5} for label in ("ant", "bee")]
    several = {"mean_average_precision": 0.9, "micro_f1": 0.8, "macro_f1": 0.7, "hamming_loss": 0.1, "empty": 0}
    several |= {"empty_found": 0, "per_label": per_label, "co_occurrence": [], "predicted_co_occurrence": []}
    cells = [(join_labels(["ant", "bee"]), join_labels(["ant"]), None)]
    further = {"multi_label": several}
    made = add_model(services, ["ant", "bee"], cells, kind="multi_label", further=further)
    page = browser.get(f"/models/{made}?true=bee").text
    assert 'class="matrix' not in page
    assert "Wrongly found" in page
    assert "ant, bee" in page


def test_a_model_without_evaluation_says_so(browser, services):
    made = add_model(services, LABELS, [("eel", "eel", None)], evaluated=False)
    assert "This model has no figures yet" in browser.get(f"/models/{made}").text


def test_a_model_that_was_deleted_is_told(browser, model):
    page = browser.get("/models/mdl_gone")
    assert page.status_code == 404
    assert "deleted meanwhile" in page.text


def test_what_a_model_page_offers_leads_to_that_model(browser, model):
    page = browser.get(f"/models/{model}").text
    assert "Macro" not in page
    for act in ("evaluate", "exports", "promote"):
        assert f'action="/models/{model}/{act}"' in page


def test_promote_and_roll_back(browser, client, services, model):
    better = add_model(services, LABELS, [("eel", "eel", None)])
    page = browser.post(f"/models/{better}/promote")
    assert client.get("/v1/aliases/production").json()["model_id"] == better
    assert "Roll back production" in page.text
    assert browser.post(f"/models/{better}/roll-back").url.path == f"/models/{model}"
    assert client.get("/v1/aliases/production").json()["model_id"] == model


def test_the_difference_from_production_is_on_the_same_pictures(browser, services):
    old = add_model(services, LABELS, [("eel", "tuna", None), ("tuna", "tuna", None), ("eel", "squid", None)])
    new = add_model(services, LABELS, [("eel", "eel", None), ("tuna", "tuna", None), ("eel", "eel", None)])
    browser.post(f"/models/{old}/promote")
    assert "+66.7" in browser.get(f"/models/{new}").text
    browser.post(f"/models/{new}/promote")
    assert "it is in production itself" in browser.get(f"/models/{new}").text


def test_models_that_share_no_pictures_say_so(browser, services, model):
    other = add_model(services, LABELS, [("eel", "eel", None)], first=7)
    assert "have no images to compare" in browser.get(f"/models/{other}").text
    page = browser.get(f"/models/{other}/compare?with=production").text
    assert "These two cannot be compared" in page


def test_two_models_are_compared_picture_by_picture(browser, services):
    old = add_model(services, LABELS, [("eel", "tuna", None), ("tuna", "tuna", None), ("eel", "squid", None)])
    new = add_model(services, LABELS, [("eel", "eel", None), ("tuna", "tuna", None), ("eel", "eel", None)])
    page = browser.get(f"/models/{new}/compare?with={old}").text
    assert "+66.7 points" in page
    assert "this says eel, the other squid" in page


def test_exports_evaluations_aliases_and_deletion(browser, client, services, dataset):
    made = add_model(services, LABELS, [("eel", "eel", None)], dataset=dataset)
    assert "waiting for a worker" in browser.post(f"/models/{made}/exports", data={"format": "onnx"}).text
    page = browser.post(f"/models/{made}/evaluate", data={"dataset": dataset})
    assert "Evaluating: 0 of" in page.text
    assert client.get("/v1/jobs?kind=evaluation").json()["data"][0]["request"]["model"] == made
    browser.post(f"/models/{made}/promote", data={"alias": "staging"})
    assert "point it to another one first" in browser.get(f"/models/{made}").text
    assert browser.post(f"/models/{made}/delete").status_code == 409
    browser.post(f"/models/{made}/remove-alias", data={"alias": "staging"})
    assert browser.post(f"/models/{made}/delete").url.path == f"/datasets/{dataset}/evaluate"
    assert client.get(f"/v1/models/{made}").status_code == 404


def promises(images=400, wrong=8, cross_fitted=0):
    scores, missed = np.linspace(0.99, 0.5, images), np.arange(images) >= images - wrong
    truth = np.arange(images) % 3
    found = selective.evidence(
        scores, truth, np.where(missed, (truth + 1) % 3, truth), scores > 0, LABELS, 1, cross_fitted
    )
    rows = [selective.guarantee(found, target) for target in selective.TARGETS]
    return {"selective": found.model_dump(), "guarantees": [row.model_dump() for row in rows]}


def test_how_many_wrong_labels_one_can_live_with_is_a_table_and_a_slider(browser, services):
    made = add_model(services, LABELS, [("eel", "eel", None)], further=promises())
    text = browser.get(f"/models/{made}").text
    assert "How many wrong labels can you live with?" in text
    rows = re.findall(r'<tr><td class="number">([^<]+)</td><td[^>]*>([^<]+)</td>(?:<td class="number">([^<]+)<)?', text)
    assert [row[0] for row in rows] == ["0.5%", "1%", "2%", "5%"]
    assert rows[0][1].startswith("nothing yet: label about")
    assert rows[0][2] == ""
    assert rows[3][1:] == ("100.0%", "0.500")
    assert "<output>2%</output>" in text
    assert "for pictures like the 400 held-out ones;" in text
    more = add_model(services, LABELS, [("eel", "eel", None)], further=promises(cross_fitted=320))
    told = "for pictures like the 80 held-out ones, and 320 others by models that have not seen those;"
    assert told in browser.get(f"/models/{more}").text
    older = add_model(services, LABELS, [("eel", "eel", None)])
    assert "How many wrong labels" not in browser.get(f"/models/{older}").text
