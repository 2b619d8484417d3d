"""Curate in the browser: keys, the next picture at once, undo, the box."""

import re

import pytest
from playwright.sync_api import expect

from db.curation import analyses, datasets


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
    rows = [(image, "suspected_label", 0.1 * n, "", {"label": "salmon"}) for n, image in enumerate(images[:3])]
    note(services, dataset, rows)
    return images[:3]


def label(client, image):
    return client.get(f"/v1/images/{image}").json()["label"]


def test_labels_are_decided_by_keys_and_undone(signed_in, client, suspected):
    page = signed_in(f"/datasets/sushi/curate/suspected-labels?at={suspected[0]}")
    number = page.locator(".number")
    expect(number).to_have_text("1 of 3")
    page.keyboard.press("Enter")
    expect(number).to_have_text("2 of 3")
    expect(page).to_have_url(re.compile(suspected[1]))
    expect(page.get_by_text("Now salmon.")).to_be_visible()
    assert label(client, suspected[0]) == "salmon"
    page.keyboard.press("u")
    expect(number).to_have_text("1 of 3")
    expect(page).to_have_url(re.compile(suspected[0]))
    assert label(client, suspected[0]) == "eel"
    page.keyboard.press("k")
    expect(page).to_have_url(re.compile(suspected[1]))
    page.keyboard.press("ArrowRight")
    expect(page).to_have_url(re.compile(suspected[2]))
    page.keyboard.press("x")
    expect(page).to_have_url(re.compile(r"suspected-labels$"))
    expect(number).to_have_text("1 of 1")
    page.reload()
    expect(number).to_have_text("1 of 1")
    page.go_back()
    expect(number).to_have_text("settled")


def test_all_suspects_are_decided_by_one_key_and_undone(signed_in, client, suspected):
    page = signed_in("/datasets/sushi/curate/suspected-labels")
    bold = page.locator("main button.primary")
    expect(bold).to_contain_text("Change these 3")
    page.locator(".suspect label").nth(1).click()
    expect(bold).to_contain_text("Change 2, keep 1")
    page.locator("h1").click()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Nothing waits here")).to_be_visible()
    assert [label(client, image) for image in suspected] == ["salmon", "eel", "salmon"]
    page.keyboard.press("u")
    expect(page.locator(".suspect")).to_have_count(3)
    assert [label(client, image) for image in suspected] == ["eel"] * 3
    page.keyboard.press("o")
    expect(page.locator(".number")).to_have_text("1 of 3")
    page.keyboard.press("o")
    expect(page.locator(".suspect")).to_have_count(3)


def test_poor_pictures_are_selected_in_a_grid_and_excluded_at_once(signed_in, client, services, dataset, images):
    note(services, dataset, [(image, "blurry", 0.1 * n, "", None) for n, image in enumerate(images[:4])])
    page = signed_in("/datasets/sushi/curate/quality")
    tiles = page.get_by_role("option")
    expect(tiles).to_have_count(4)
    page.keyboard.press("x")
    expect(page.get_by_text("Select pictures first.")).to_be_visible()
    tiles.nth(0).click()
    tiles.nth(2).click(modifiers=["Shift"])
    expect(page.get_by_text("3 selected")).to_be_visible()
    page.keyboard.press("x")
    expect(tiles).to_have_count(1)
    assert client.get(f"/v1/datasets/{dataset}").json()["excluded"] == 3
    page.keyboard.press("s")
    page.keyboard.press("k")
    expect(page.get_by_text("Nothing waits here")).to_be_visible()
    page.keyboard.press("u")
    expect(tiles).to_have_count(1)


def test_nothing_is_lost_when_the_session_ends(signed_in, client, suspected):
    page = signed_in(f"/datasets/sushi/curate/suspected-labels?at={suspected[0]}", refused=True)
    expect(page.locator(".number")).to_have_text("1 of 3")
    cookies = page.context.cookies()
    page.context.clear_cookies()
    page.keyboard.press("a")
    expect(page.get_by_text("Your session has ended.")).to_have_count(1)
    expect(page.locator(".look img")).to_be_visible()
    assert label(client, suspected[0]) == "eel"
    page.context.add_cookies(cookies)  # signed in again, in another tab
    page.goto(page.url)
    page.keyboard.press("a")
    expect(page.get_by_text("Now salmon.")).to_be_visible()


def test_another_tab_was_faster(signed_in, client, suspected):
    page = signed_in(f"/datasets/sushi/curate/suspected-labels?at={suspected[0]}")
    expect(page.locator(".number")).to_have_text("1 of 3")
    act = {"act": "relabel", "images": suspected[:1], "label": "tuna"}
    client.post("/v1/datasets/sushi/revisions", json=act)
    page.keyboard.press("a")
    expect(page.get_by_text("Its label had been changed to tuna meanwhile.")).to_be_visible()
    assert label(client, suspected[0]) == "salmon"


def test_the_box_is_moved_by_keys_and_pointer(signed_in, client, services, dataset, images):
    note(services, dataset, [(images[0], "crop", 0.1, "", {"crop": [4, 4, 12, 12]})])
    page = signed_in("/datasets/sushi/curate/crops")
    page.get_by_role("button", name="The whole box").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("spinbutton", name="Left")).to_have_value("5")
    corner = page.get_by_role("button", name="Corner right, lower")
    corner.focus()
    page.keyboard.press("ArrowUp")
    box = corner.bounding_box()
    page.mouse.move(box["x"] + 12, box["y"] + 12)
    page.mouse.down()
    page.mouse.move(box["x"] + 500, box["y"] + 12)
    page.mouse.up()
    expect(page.get_by_role("spinbutton", name="Right")).to_have_value("24")
    page.locator("h1").click()
    page.keyboard.press("a")
    expect(page.get_by_text("Nothing waits here")).to_be_visible()
    assert client.get(f"/v1/images/{images[0]}").json()["crop"] == [5, 4, 24, 11]
