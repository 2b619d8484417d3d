"""The screen Data in a browser: selection, labels, undo, sending files."""

import re
import zipfile

import pytest
from playwright.sync_api import expect

from tests.api.browser.test_accessibility import serious
from tests.api.conftest import picture


@pytest.fixture
def pets(client):
    client.post("/v1/datasets", json={"name": "pets"})
    for label, number in (("cat", 4), ("dog", 4), ("", 12)):
        files = [("files", (f"{label}{at}.png", picture((at, ord(label[:1] or "x"), 9)))) for at in range(number)]
        client.post("/v1/datasets/pets/images", files=files, data={"label": label})
    return "pets"


@pytest.fixture
def folder(tmp_path):
    """A folder of two kinds of pictures, one broken picture, a text and a film."""
    top = tmp_path / "animals"
    for label, number in (("cat", 3), ("dog", 2)):
        (top / label).mkdir(parents=True)
        for at in range(number):
            (top / label / f"{at}.png").write_bytes(picture((at, 99, ord(label[0]))))
    (top / "dog" / "broken.png").write_bytes(b"no picture")
    (top / "notes.txt").write_text("hello")
    (top / "film.mp4").write_bytes(b"0")
    return top


@pytest.fixture
def eels(tmp_path):
    """A zip of one picture."""
    with zipfile.ZipFile(tmp_path / "eels.zip", "w") as packed:
        packed.writestr("eel/1.png", picture((1, 2, 3)))
    return tmp_path / "eels.zip"


def counts(client, name):
    return {each["label"]: each["images"] for each in client.get(f"/v1/datasets/{name}").json()["classes"]}


def selected(page):
    return page.locator("selection-bar [role=status]")


def add_folder(page, folder):
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Add a folder").click()
    chooser.value.set_files(folder)


def test_a_range_is_labelled_by_its_number_key_and_undone(signed_in, client, pets):
    page = signed_in("/datasets/pets?unlabelled=true")
    tiles = page.get_by_role("option")
    expect(tiles).to_have_count(12)
    tiles.nth(1).click()
    tiles.nth(4).click(modifiers=["Shift"])
    expect(selected(page)).to_have_text("4 selected")
    key = page.get_by_role("button", name="dog").locator("kbd").inner_text()
    page.keyboard.press(key)
    expect(tiles).to_have_count(8)
    assert counts(client, pets) == {None: 8, "dog": 8, "cat": 4}
    expect(page.get_by_role("link", name="dog 8")).to_be_visible()
    page.keyboard.press("u")
    expect(tiles).to_have_count(12)
    assert counts(client, pets)["dog"] == 4


def test_all_of_a_filter_get_a_typed_label_by_keyboard_alone(signed_in, client, pets):
    page = signed_in("/datasets/pets?unlabelled=true")
    page.get_by_role("option").first.focus()
    page.keyboard.press("Control+a")
    expect(selected(page)).to_have_text("12 selected")
    page.keyboard.press("n")
    page.keyboard.type("moose")
    page.keyboard.press("Enter")
    expect(page.get_by_text("No picture matches")).to_be_visible()
    assert counts(client, pets) == {"moose": 12, "cat": 4, "dog": 4}


def test_what_is_taken_out_of_all_is_left_as_it_is(signed_in, client, pets):
    page = signed_in("/datasets/pets?unlabelled=true")
    page.get_by_role("option").first.focus()
    page.keyboard.press("Control+a")
    page.get_by_role("option").nth(3).click(modifiers=["Control"])
    expect(selected(page)).to_have_text("11 selected")
    page.keyboard.press("x")
    expect(page.locator(".tile.out")).to_have_count(11)
    assert client.get("/v1/datasets/pets").json()["excluded"] == 11


def test_arrows_and_space_select_and_x_excludes(signed_in, client, pets):
    page = signed_in("/datasets/pets?label=cat")
    page.get_by_role("option").first.focus()
    for key in ("Space", "ArrowRight", "ArrowRight", "Space"):
        page.keyboard.press(key)
    expect(selected(page)).to_have_text("2 selected")
    page.keyboard.press("x")
    expect(page.locator(".tile.out")).to_have_count(2)
    assert client.get("/v1/datasets/pets").json()["excluded"] == 2


def test_a_box_selects_what_it_touches(signed_in, pets):
    page = signed_in("/datasets/pets")
    tiles = page.get_by_role("option")
    expect(tiles).to_have_count(20)
    first, last = tiles.nth(0).bounding_box(), tiles.nth(2).bounding_box()
    page.mouse.move(first["x"] + 40, first["y"] + 40)
    page.mouse.down()
    page.mouse.move(last["x"] + 20, last["y"] + 20, steps=4)
    page.mouse.up()
    expect(selected(page)).to_have_text("3 selected")


def test_several_labels_are_added_and_removed(signed_in, client):
    client.post("/v1/datasets", json={"name": "garden", "kind": "multi_label"})
    client.post("/v1/datasets/garden/images", files=[("files", ("a.png", picture()))], data={"label": '["ant"]'})
    page = signed_in("/datasets/garden")
    page.get_by_role("option").click()
    page.get_by_label("Label for the selection").fill("bee")
    page.keyboard.press("Enter")
    expect(page.get_by_role("option")).to_contain_text("ant, bee")
    page.get_by_role("option").click()
    page.keyboard.press("1")
    expect(page.get_by_role("option").locator(".note")).to_have_text("bee")
    assert counts(client, "garden") == {"bee": 1}


def test_a_reload_does_not_keep_a_person_from_the_next_screen(signed_in, pets):
    page = signed_in(f"/datasets/{pets}")
    held = []
    page.route("**/datasets/*/label", lambda route: held.append(route))  # noqa: PLW0108 - Playwright takes no built-in
    page.locator("[data-fresh]").first.evaluate("(part) => part.removeAttribute('data-fresh')")
    with page.expect_response(lambda answer: answer.url.endswith(pets)) as drawn:
        page.evaluate(
            "import('/static/swap.js').then(({ freshen }) => { setTimeout(freshen, 100);"
            " document.querySelector('a[href$=\"/label\"]').click() })"
        )
    drawn.value.finished()
    held[0].continue_()
    page.wait_for_url("**/label")


def test_a_folder_makes_a_data_set_with_its_folders_as_labels(signed_in, client, folder):
    page = signed_in("/")
    add_folder(page, folder)
    expect(page.get_by_text("5 pictures added, 1 could not be taken, 2 files not sent")).to_be_visible()
    page.get_by_text("Not sent", exact=True).click()
    expect(page.get_by_text("film.mp4")).to_be_visible()
    page.get_by_role("link", name="Show the pictures").click()
    expect(page.get_by_role("heading", name="animals")).to_be_visible()
    assert counts(client, "animals") == {"cat": 3, "dog": 2}


def test_sending_a_folder_again_sends_only_what_is_missing(signed_in, client, pets, folder):
    page = signed_in("/datasets/pets")
    add_folder(page, folder)
    expect(page.get_by_text("5 pictures added")).to_be_visible()
    (folder / "dog" / "new.png").write_bytes(picture((200, 1, 1)))
    sent = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    add_folder(page, folder)
    expect(page.get_by_text("1 picture added, 5 were here already")).to_be_visible()
    assert counts(client, pets)["dog"] == 7


def test_what_is_no_picture_is_told_at_once_and_never_sent(signed_in, pets, tmp_path):
    for number in range(3):
        (tmp_path / f"{number}.txt").write_text("x")
    page = signed_in("/datasets/pets")
    sent = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Add files or a zip").click()
    chooser.value.set_files(list(tmp_path.glob("*.txt")))
    expect(page.get_by_role("alert")).to_contain_text("3 files not sent, being no pictures (.txt 3)")
    assert sent == []


def test_a_lost_connection_is_waited_for(signed_in, client, pets, folder):
    page = signed_in("/datasets/pets")
    page.evaluate("""() => {
        const whole = window.fetch;
        window.fetch = (path, options) => {
            if (!window.back && path.endsWith("/images")) throw new TypeError("no connection");
            return whole(path, options);
        };
    }""")
    add_folder(page, folder)
    expect(page.get_by_text("0 of 6 pictures sent; waiting for the connection")).to_be_visible()
    page.evaluate("window.back = true")
    page.get_by_role("button", name="Continue now").click()
    expect(page.get_by_text("5 pictures added")).to_be_visible()


def test_a_zip_waits_for_the_connection_and_for_a_person_to_sign_in(signed_in, url, key, pets, eels):
    page = signed_in("/datasets/pets", refused=True)
    page.evaluate("""() => {
        const whole = window.fetch;
        window.fetch = (path, options) => {
            if (!window.back && path.includes("/parts/")) throw new TypeError("no connection");
            return whole(path, options);
        };
    }""")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Add files or a zip").click()
    chooser.value.set_files(eels)
    expect(page.get_by_text("Sending eels.zip: 0%; waiting for the connection")).to_be_visible()
    page.context.clear_cookies()
    page.evaluate("window.back = true")
    page.get_by_role("button", name="Continue now").click()
    expect(page.get_by_text("Sending eels.zip: 0%; your session has ended: sign in in another tab")).to_be_visible()
    page.request.post("/sign-in", form={"key": key}, headers={"Origin": url})
    with page.expect_response("**/v1/datasets/*/imports") as answer:
        page.evaluate("dispatchEvent(new Event('focus'))")  # back in this tab
    assert answer.value.status == 202


def test_sending_to_a_data_set_that_was_deleted_meanwhile_is_not_said_to_be_done(signed_in, client, pets, eels):
    page = signed_in("/datasets/pets", refused=True)

    def delete(route):
        client.delete("/v1/datasets/pets")
        route.continue_()

    page.route("**/parts/1", delete)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Add files or a zip").click()
    chooser.value.set_files(eels)
    expect(page.locator("#notices")).to_contain_text("This was deleted meanwhile")
    expect(page.get_by_role("alert").filter(has_text="Stopped; send it again to add the rest")).to_be_visible()


def test_a_zip_is_sent_in_parts_and_imported(signed_in, services, pets, eels):
    page = signed_in("/datasets/pets")
    page.evaluate("Object.defineProperty(crypto, 'subtle', { value: undefined })")  # as where it came without HTTPS
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Add files or a zip").click()
    with page.expect_response("**/v1/datasets/*/imports") as answer:
        chooser.value.set_files(eels)
    assert answer.value.status == 202


def test_a_picture_is_opened_large_paged_and_deleted_for_good(signed_in, client, pets):
    page = signed_in("/datasets/pets?label=cat")
    first, second = [image["name"] for image in client.get("/v1/datasets/pets/images?label=cat").json()["data"][:2]]
    page.get_by_role("option", name=first).dblclick()
    viewer = page.locator("dialog.viewer")
    expect(viewer.get_by_role("heading")).to_have_text(first)
    assert "image=img_" in page.url
    page.keyboard.press("ArrowRight")
    expect(viewer.get_by_role("heading")).to_have_text(second)
    viewer.get_by_role("button", name="Delete for good").click()
    assert counts(client, pets)["cat"] == 4
    viewer.get_by_role("button", name="Yes, delete").click()
    expect(page.get_by_role("option")).to_have_count(3)
    assert counts(client, pets)["cat"] == 3


def test_a_reload_shows_the_opened_picture_again(signed_in, client, pets):
    image = client.get("/v1/datasets/pets/images").json()["data"][0]
    page = signed_in(f"/datasets/pets?image={image['id']}")
    expect(page.locator("dialog.viewer").get_by_role("heading")).to_have_text(image["name"])
    page.keyboard.press("Escape")
    expect(page.locator("dialog.viewer")).to_be_hidden()
    expect(page).not_to_have_url(re.compile("image="))


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
def test_axe_finds_nothing_serious_in_a_selection(signed_in, pets, width, scheme):
    page = signed_in("/datasets/pets", width=width, scheme=scheme)
    page.get_by_role("option").first.click()
    expect(selected(page)).to_have_text("1 selected")
    assert serious(page) == {}
    page.goto("/datasets/pets?view=labels")
    page.get_by_role("option").first.wait_for()
    assert serious(page) == {}
