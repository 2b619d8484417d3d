"""Batches in a browser: started from a folder, live, filtered in place, corrected many at a time."""

import io
import tarfile

import pytest
from playwright.sync_api import expect

from db.jobs import jobs
from db.paging import Window
from tests.api.browser.test_accessibility import serious
from tests.api.conftest import as_files, picture, pictures, work
from tsukiji.jobs import JobKind

TILES = "image-grid [role=option]"


@pytest.fixture
def batch(client, services, model):
    job = client.post("/v1/batches", files=as_files(pictures(6, 80)), data={"model": model}).json()
    work(services, errors={5}, known_score=0.2)
    return job["id"]


def test_a_folder_is_sent_as_a_tar_that_can_be_read(client, services, model, signed_in, tmp_path):
    (tmp_path / "photos").mkdir()
    names = ["é0.png", f"{'é' * 60}.png", "2.png"]  # one is longer than the field that a tar has for names
    for number, name in enumerate(names):
        (tmp_path / "photos" / name).write_bytes(picture((number, 0, 0)))
    (tmp_path / "photos" / "notes.txt").write_text("no picture")
    page = signed_in("/batches")
    page.set_input_files("#folder", tmp_path / "photos")
    page.wait_for_url("**/batches/bat_*")
    (job,) = client.get("/v1/batches").json()["data"]
    with services.database.reading() as session:
        sha256 = jobs.find(session, job["id"]).upload_sha256
    with tarfile.open(fileobj=io.BytesIO(services.store.read(sha256))) as archive:
        assert sorted(archive.getnames()) == sorted(f"photos/{name}" for name in names)
        sent = archive.extractfile(f"photos/{names[1]}")
        assert sent.read() == picture((1, 0, 0))


def test_a_model_classifies_the_folder_that_is_given_to_its_page(client, model, signed_in, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(picture())
    page = signed_in(f"/models/{model}")
    page.set_input_files("#folder", tmp_path / "photos")
    page.wait_for_url("**/batches/bat_*")
    (job,) = client.get("/v1/batches").json()["data"]
    assert job["request"]["model"] == model


def test_a_folder_without_pictures_is_told(model, signed_in, tmp_path):
    (tmp_path / "notes.txt").write_text("no picture")
    page = signed_in("/batches")
    page.set_input_files("#files", tmp_path / "notes.txt")
    expect(page.locator("#notices")).to_contain_text("There is no picture among these files")


def test_a_session_that_ends_while_files_are_sent_loses_nothing(model, signed_in, url, key, tmp_path):
    (tmp_path / "small.png").write_bytes(picture())
    page = signed_in("/batches", refused=True)
    page.context.clear_cookies()
    page.set_input_files("#files", tmp_path / "small.png")
    expect(page.get_by_role("dialog")).to_contain_text("your session has ended: sign in in another tab")
    page.request.post("/sign-in", form={"key": key}, headers={"Origin": url})
    page.evaluate("dispatchEvent(new Event('focus'))")  # back in this tab
    page.wait_for_url("**/batches/bat_*")


def test_what_is_too_large_is_not_sent(services, model, signed_in, tmp_path):
    (tmp_path / "small.png").write_bytes(picture())
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(services.settings.limits.image_bytes + 1)
    page = signed_in("/batches")
    page.set_input_files("#files", [tmp_path / "small.png", tmp_path / "huge.png"])
    page.wait_for_url("**/batches/bat_*")
    with services.database.reading() as session:
        (job,) = jobs.page(session, Window(1), JobKind.BATCH).data
        assert len(services.store.read(job.upload_sha256)) < services.settings.limits.image_bytes


def test_the_list_is_drawn_again_without_keeping_a_person_from_the_batch(model, signed_in, tmp_path):
    (tmp_path / "small.png").write_bytes(picture())
    page = signed_in("/batches")
    held = []
    page.route("**/batches/bat_*", lambda route: held.append(route))  # noqa: PLW0108 - Playwright takes no built-in
    with page.expect_response(
        lambda answer: answer.url.endswith("/batches") and answer.request.method == "GET"
    ) as drawn:
        page.set_input_files("#files", tmp_path / "small.png")
    drawn.value.finished()  # the first batch of the list, which was empty
    held[0].continue_()
    page.wait_for_url("**/batches/bat_*")


def test_it_is_live(client, services, model, signed_in):
    job = client.post("/v1/batches", files=as_files(pictures(3)), data={"model": model}).json()
    page = signed_in(f"/batches/{job['id']}")
    expect(page.get_by_text("Waiting for a worker")).to_be_visible()
    work(services)
    expect(page.get_by_role("link", name="tuna 3")).to_be_visible()
    expect(page.locator(TILES)).to_have_count(3)
    expect(page.get_by_role("button", name="Cancel")).to_be_hidden()


def test_the_bold_button_is_pressed_by_enter(batch, signed_in):
    page = signed_in(f"/batches/{batch}")
    expect(page.locator(TILES)).to_have_count(6)
    with page.expect_download() as file:
        page.keyboard.press("Enter")
    lines = file.value.path().read_text().splitlines()
    assert len(lines) == 1 + 6
    with page.expect_download() as file:
        page.keyboard.press("d")
    assert file.value.path().read_text().splitlines() == lines


def test_filters_and_thresholds_follow_in_place(batch, signed_in):
    page = signed_in(f"/batches/{batch}")
    page.get_by_role("link", name="unreadable 1").click()
    expect(page.locator(TILES)).to_have_count(1)
    page.go_back()
    expect(page.locator(TILES)).to_have_count(6)
    slider = page.get_by_label("Minimum confidence")
    slider.fill("0.9")
    expect(page.get_by_role("link", name="not sure enough 5")).to_be_visible()
    slider.dispatch_event("change")
    page.wait_for_url("**threshold=0.9**")
    expect(page.locator("image-grid .unsure")).to_have_count(5)


def test_a_result_is_opened_large_and_the_next_by_a_key(batch, signed_in):
    page = signed_in(f"/batches/{batch}")
    page.locator(TILES).first.dblclick()
    large = page.get_by_role("dialog", name="Result")
    expect(large).to_contain_text("0.png")
    assert large.locator(".share").all_inner_texts() == ["70.0%", "20.0%", "10.0%"]
    page.keyboard.press("ArrowRight")
    expect(large).to_contain_text("1.png")
    page.reload()
    expect(large).to_contain_text("1.png")
    page.keyboard.press("Escape")
    expect(large).to_be_hidden()
    assert "item" not in page.url


def test_many_are_corrected_at_once_and_taken_back(client, dataset, batch, signed_in):
    page = signed_in(f"/batches/{batch}")
    page.locator(TILES).first.click()
    page.locator(TILES).nth(3).click(modifiers=["Shift"])
    page.keyboard.press("1")
    expect(page.locator("#notices")).to_contain_text("4 pictures wait for review in sushi as eel")
    pending = f"/v1/datasets/{dataset}/images?review=pending"
    assert len(client.get(pending).json()["data"]) == 4
    page.keyboard.press("u")
    expect(page.locator("#notices")).to_contain_text("Undone.")
    assert client.get(pending).json()["data"] == []


def test_it_fits_a_phone(batch, signed_in):
    page = signed_in(f"/batches/{batch}", width=360)
    expect(page.locator(TILES)).to_have_count(6)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1280, "light")])
def test_axe_finds_nothing_serious(batch, signed_in, width, scheme):
    page = signed_in(f"/batches/{batch}?threshold=0.9", width=width, scheme=scheme)
    page.locator(TILES).first.click()
    assert serious(page) == {}
    page.goto(f"/batches/{batch}?item=1")
    assert serious(page) == {}
