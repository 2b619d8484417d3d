"""Trying a model in a browser: dropped, pasted, several at once, taught."""

import pytest
from playwright.sync_api import expect

from tests.api.browser.test_accessibility import serious
from tests.api.conftest import as_files, picture
from tests.api.test_batches import Worker

DROP = """([data, count, target]) => {
    const transfer = new DataTransfer();
    for (let number = 1; number <= count; number++)
        transfer.items.add(new File([new Uint8Array(data)], `dropped ${number}.png`, { type: "image/png" }));
    const options = { dataTransfer: transfer, clipboardData: transfer, bubbles: true, cancelable: true };
    document.dispatchEvent(target === "paste" ? new ClipboardEvent("paste", options) : new DragEvent("drop", options));
}"""


def choose(page, name="fish.png", data=None):
    page.set_input_files("#files", {"name": name, "mimeType": "image/png", "buffer": data or picture()})


def decision(page):
    return page.locator("h2.decision")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_picture_is_answered_in_place_and_asked_again_with_another_threshold(services, model, signed_in, scheme):
    page = signed_in("/use", width=360, scheme=scheme)
    with Worker(services):
        choose(page)
        expect(decision(page)).to_have_text("tuna")
        expect(decision(page)).to_be_in_viewport()
        assert page.locator(".kinds .share").all_inner_texts() == ["70.0%", "20.0%", "10.0%"]
        page.get_by_label("Minimum confidence").select_option("0.9")
        expect(decision(page)).to_have_text("Not sure enough")
        page.reload()  # the answer has an address, and its pictures can be asked about again
        page.get_by_label("Minimum confidence").select_option("0.5")
        expect(decision(page)).to_have_text("tuna")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.mark.parametrize("way", ["drop", "paste"])
def test_what_is_dropped_or_pasted_is_answered(services, model, signed_in, way):
    page = signed_in("/use")
    with Worker(services):
        page.evaluate(DROP, [list(picture()), 1, way])
        expect(decision(page)).to_have_text("tuna")


def test_several_are_a_grid_and_each_opens(services, model, signed_in):
    page = signed_in("/use")
    with Worker(services):
        page.evaluate(DROP, [list(picture()), 3, "drop"])
        expect(page.locator(".answer .tile")).to_have_count(3)
        page.locator(".answer .tile").nth(1).click()
        expect(decision(page)).to_have_text("tuna")
        page.go_back()
        expect(page.locator(".answer .tile")).to_have_count(3)


def test_more_than_it_answers_become_a_batch(client, services, model, signed_in):
    page = signed_in("/use")
    page.evaluate(DROP, [list(picture()), 17, "drop"])
    page.get_by_role("button", name="Start a batch").click()
    page.wait_for_url("**/batches/bat_*")
    (job,) = client.get("/v1/batches").json()["data"]
    assert job["request"]["input"]["type"] == "archive"


def test_what_is_no_picture_is_told_and_leaves_no_broken_picture(services, model, signed_in):
    page = signed_in("/use")
    with Worker(services, errors={0}):
        choose(page, "x.png", b"no")
        expect(page.get_by_role("alert")).to_contain_text("cut short")


def test_a_film_is_told_at_once_and_never_sent(services, model, signed_in):
    page = signed_in("/use")
    sent = []
    page.on("request", lambda request: sent.append(request.url) if request.url.endswith("/predict") else None)
    page.set_input_files("#files", {"name": "film.mp4", "mimeType": "video/mp4", "buffer": b"0"})
    expect(page.locator("#notices")).to_contain_text("There is no picture among these files")
    assert sent == []


def test_a_wrong_answer_is_taught_and_taken_back(client, dataset, services, model, signed_in):
    page = signed_in("/use")
    with Worker(services):
        choose(page, data=picture((1, 2, 3)))
        page.get_by_label("Wrong? Teach it").fill("eel")
        page.get_by_role("button", name="Teach", exact=True).click()
        notice = page.locator("#notices")
        expect(notice).to_contain_text("1 picture waits for review in sushi as eel")
        waiting = client.get(f"/v1/datasets/{dataset}/images?review=pending").json()["data"]
        assert [image["label"] for image in waiting] == ["eel"]
        notice.get_by_role("button", name="Undo").click()
        expect(notice).to_contain_text("Undone.")
    assert client.get(f"/v1/datasets/{dataset}/images?review=pending").json()["data"] == []


def test_an_answer_that_takes_long_is_waited_for(client, services, model, signed_in):
    sent = client.post(
        "/v1/models/production/predict", files=as_files([picture()]), headers={"Prefer": "respond-async"}
    )
    page = signed_in(f"/use?prediction={sent.json()['id']}")
    expect(page.get_by_text("Waiting for a worker")).to_be_visible()
    with Worker(services):
        expect(decision(page)).to_have_text("tuna")


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1280, "light")])
def test_axe_finds_nothing_serious_in_an_answer(services, model, signed_in, width, scheme):
    page = signed_in("/use", width=width, scheme=scheme)
    with Worker(services, known_score=0.001):
        choose(page)
        expect(decision(page)).to_have_text("None of these")
        assert serious(page) == {}
        page.evaluate(DROP, [list(picture()), 3, "drop"])
        expect(page.locator(".answer .tile")).to_have_count(3)
        assert serious(page) == {}


def test_a_model_that_was_deleted_meanwhile_is_told(signed_in, client, model, tmp_path):
    page = signed_in("/use", refused=True)
    (tmp_path / "a.png").write_bytes(picture())
    for alias in client.get(f"/v1/models/{model}").json()["aliases"]:
        client.delete(f"/v1/aliases/{alias}")
    assert client.delete(f"/v1/models/{model}").status_code == 204
    page.set_input_files("#files", tmp_path / "a.png")
    expect(page.locator("#notices")).to_contain_text("This was deleted meanwhile")
