"""The map in a browser: pictures are chosen by a line around them, and labelled."""

from playwright.sync_api import expect

from tests.api.browser.test_accessibility import serious


def labels_of(client):
    return {each["name"]: each["label"] for each in client.get("/v1/datasets/reds/images?limit=99").json()["data"]}


def test_what_a_line_is_drawn_around_is_labelled_by_one_key(client, signed_in, reds):
    client.post("/v1/datasets/reds/revisions", json={"act": "relabel", "label": "dark", "images": [reds[0]["id"]]})
    page = signed_in("/datasets/reds/map")
    first, second, last = (page.locator(f'circle[data-image="{reds[red]["id"]}"]') for red in (220, 200, 0))
    boxes = [point.bounding_box() for point in (first, second)]
    left, top = (min(box[side] for box in boxes) - 6 for side in ("x", "y"))
    right, bottom = (max(box[side] + box["width"] for box in boxes) + 6 for side in ("x", "y"))
    page.mouse.move(left, top)
    page.mouse.down()
    for x, y in ((right, top), (right, bottom), (left, bottom), (left, top)):
        page.mouse.move(x, y, steps=3)
    page.mouse.up()
    expect(page.locator("selection-bar b")).to_have_text("2 selected")
    expect(page.locator("circle.chosen")).to_have_count(2)
    assert serious(page) == {}
    page.keyboard.press("1")
    expect(page.locator("#chosen .note").first).to_have_text("dark")
    found = labels_of(client)
    assert {name for name, label in found.items() if label} == {"0.png", "200.png", "220.png"}
    last.click()
    expect(page.locator("selection-bar b")).to_have_text("1 selected")
    expect(page.locator("#chosen img")).to_have_count(1)
