"""Curate, without script: the queues, one picture after the other, and its acts as forms."""

import html
import json
import re

import pytest

from db.curation import analyses, datasets
from tests.api.conftest import as_files, picture, work


@pytest.fixture
def images(client, services, dataset):
    with services.database.reading() as session:
        return [row.id for row in datasets.all_images(session, dataset, 10)]


def note(services, dataset, rows):
    with services.database.transaction() as session:
        columns = ("image_id", "kind", "score", "group_id", "suggestion")
        analyses.replace(session, dataset, [dict(zip(columns, row, strict=True)) for row in rows])
        analyses.note(session, dataset, "an_1", len(rows), [])


@pytest.fixture
def suspected(services, dataset, images):
    """Three pictures whose labels are doubted."""
    rows = [(image, "suspected_label", 0.1 * n, "", {"label": "salmon"}) for n, image in enumerate(images[:3])]
    note(services, dataset, rows)
    return images[:3]


@pytest.fixture
def alike(services, dataset, images):
    """Two groups of two."""
    rows = [(images[n], "near_duplicates", 0.1, images[n - n % 2], {"keep": images[n - n % 2 + 1]}) for n in range(4)]
    note(services, dataset, rows)
    return images[:4]


def acts(page):
    """The acts on a page, by the texts of their buttons."""
    found = re.findall(r'<button name="act" value=["\'](.*?)["\'] .*?>(.*?)(?: <kbd|</button)', page, re.DOTALL)
    return {html.unescape(text): json.loads(html.unescape(value)) for value, text in found}


def test_what_was_never_checked_is_checked_by_one_button(browser, client, dataset):
    page = browser.get("/datasets/sushi/curate").text
    assert "Nothing was checked yet" in page
    page = browser.post("/datasets/sushi/curate/analyses").text
    assert "Checking the pictures" in page
    (job,) = client.get("/v1/analyses").json()["data"]
    assert f'jobs="{job["id"]}"' in page


def test_the_first_queue_opens_once_the_check_has_ended(browser, services, dataset, suspected):
    note(services, dataset, [(suspected[0], "blurry", 0.1, "", None), (suspected[1], "outlier", 0.1, "", None)])
    answer = browser.get("/datasets/sushi/curate?begin=true")
    assert answer.url.path.endswith("/curate/outliers")
    assert browser.get("/datasets/sushi/curate").url.path.endswith("/curate"), "the overview itself stays reachable"


def test_a_queue_that_is_done_leads_on(browser, client, services, dataset, suspected):
    note(services, dataset, [(suspected[0], "outlier", 0.1, "", None)])
    page = browser.get("/datasets/sushi/curate/suspected-labels").text
    assert "Nothing waits here" in page
    assert re.search(r'class="button primary" href="[^"]+/curate/outliers">Outliers: 1<', page)


def test_a_data_set_without_pictures_asks_for_some(browser, client):
    client.post("/v1/datasets", json={"name": "empty"})
    page = browser.get("/datasets/empty/curate").text
    assert "No pictures yet" in page
    assert "Check the pictures" not in page


def test_the_overview_counts_what_waits(browser, suspected):
    page = browser.get("/datasets/sushi/curate").text
    assert re.search(r"<h2>Suspected labels</h2><span class=\"badge\">3</span>", page)
    assert "Outliers" not in page


def test_accepting_a_suggestion_shows_the_next_and_offers_the_undo(browser, client, suspected):
    page = browser.get(f"/datasets/sushi/curate/suspected-labels?at={suspected[0]}").text
    assert "1 of 3" in page
    act = json.dumps(acts(page)["Change to salmon"])
    page = browser.post("/datasets/sushi/curate/suspected-labels", data={"act": act, "next": suspected[1]}).text
    assert client.get(f"/v1/images/{suspected[0]}").json()["label"] == "salmon"
    assert "1 of 2" in page
    assert f"/v1/images/{suspected[1]}/content" in page
    (revision,) = re.findall(r'name="undo" value="(\w+)"', page)
    undo = {"undo": revision, "next": suspected[0]}
    page = browser.post("/datasets/sushi/curate/suspected-labels", data=undo).text
    assert client.get(f"/v1/images/{suspected[0]}").json()["label"] != "salmon"
    assert "1 of 3" in page


def test_all_suspects_are_changed_at_once_but_those_that_are_right(browser, client, suspected):
    page = browser.get("/datasets/sushi/curate/suspected-labels").text
    (act,) = [act for act in acts(page).values() if act["act"] == "accept_labels"]
    assert act["labels"] == [{"image": image, "label": "salmon"} for image in suspected]
    data = {"act": json.dumps(act), "keep": suspected[1]}
    page = browser.post("/datasets/sushi/curate/suspected-labels", data=data).text
    assert "Nothing waits here" in page
    labels = [client.get(f"/v1/images/{image}").json()["label"] for image in suspected]
    assert [label == "salmon" for label in labels] == [True, False, True]


def test_a_kept_label_does_not_come_back(browser, client, services, dataset, suspected):
    page = browser.get(f"/datasets/sushi/curate/suspected-labels?at={suspected[0]}").text
    (keep,) = [act for text, act in acts(page).items() if text.startswith("Keep")]
    browser.post("/datasets/sushi/curate/suspected-labels", data={"act": json.dumps(keep)})
    assert "Change these 2" in browser.get("/datasets/sushi/curate/suspected-labels").text
    page = browser.get(f"/datasets/sushi/curate/suspected-labels?at={suspected[0]}").text
    assert ">settled<" in page, "the back button shows what was decided"


def test_a_typed_label_is_given(browser, client, suspected):
    act = json.dumps({"act": "relabel", "images": suspected[:1]})
    browser.post("/datasets/sushi/curate/suspected-labels", data={"act": act, "label": "eel"})
    assert client.get(f"/v1/images/{suspected[0]}").json()["label"] == "eel"


def test_the_best_of_a_group_is_kept_or_of_all(browser, client, alike):
    page = browser.get("/datasets/sushi/curate/near-duplicates").text
    assert "1 of 2" in page
    found = acts(page)
    assert found["Keep the best"]["groups"] == [{"keep": alike[1], "images": alike[:2]}]
    body = {"act": json.dumps(found["Keep the best of all 2 groups"])}
    assert "Nothing waits here" in browser.post("/datasets/sushi/curate/near-duplicates", data=body).text
    excluded = client.get("/v1/datasets/sushi/images?excluded=true").json()["data"]
    assert {row["id"] for row in excluded} == {alike[0], alike[2]}


def test_poor_pictures_are_a_grid_whose_selection_is_excluded(browser, client, services, dataset, images):
    note(services, dataset, [(image, "dark", 0.1, "", None) for image in images[:3]])
    page = browser.get("/datasets/sushi/curate/quality").text
    assert page.count('name="images"') == 3
    body = {"act": '{"act": "exclude"}', "images": images[:2]}
    assert browser.post("/datasets/sushi/curate/quality", data=body).text.count('name="images"') == 1
    assert len(client.get("/v1/datasets/sushi/images?excluded=true").json()["data"]) == 2


def test_a_correction_is_shown_with_what_the_model_said(browser, client, services, model, dataset):
    job = client.post("/v1/batches", files=as_files([picture()]), data={"model": model}).json()["id"]
    work(services)
    correction = {"dataset": dataset, "corrections": [{"seq": 0, "label": "eel"}]}
    assert client.post(f"/v1/jobs/{job}/feedback", json=correction).json()["accepted"] == 1
    page = browser.get("/datasets/sushi/curate/corrections").text
    assert "<dt>Corrected to</dt><dd><b>eel</b>" in page
    said = re.search(r"<dt>Model said</dt><dd>(.*?)</dd>", page)[1]
    assert said == f'<b>tuna</b> 70.0% <a class="hint" href="/batches/{job}">the result</a>'
    browser.post(f"/batches/{job}/delete")
    assert "Model said" not in browser.get("/datasets/sushi/curate/corrections").text


def test_a_box_is_taken_as_the_fields_say(browser, client, services, dataset, images):
    note(services, dataset, [(images[0], "crop", 0.1, "", {"crop": [1, 2, 10, 12]})])
    act = json.dumps(acts(browser.get("/datasets/sushi/curate/crops").text)["Use this part"])
    box = {"left": 2, "upper": 3, "right": 9, "lower": 11}
    browser.post("/datasets/sushi/curate/crops", data={"act": act} | box)
    assert client.get(f"/v1/images/{images[0]}").json()["crop"] == [2, 3, 9, 11]


@pytest.mark.parametrize(
    ("path", "data", "status"),
    [
        ("/datasets/none/curate", None, 404),
        ("/datasets/sushi/curate/nonsense", None, 404),
        ("/datasets/none/curate/crops", None, 404),
        ("/datasets/sushi/curate/crops", {"act": "nonsense"}, 422),
        ("/datasets/sushi/curate/crops", {"act": '{"act": "exclude", "images": ["img_gone"]}'}, 404),
        ("/datasets/sushi/curate/crops", {"undo": "rev_gone"}, 404),
    ],
)
def test_what_is_gone_or_makes_no_sense_is_told(browser, dataset, path, data, status):
    answer = browser.get(path) if data is None else browser.post(path, data=data)
    assert answer.status_code == status
    assert "<h1" in answer.text
