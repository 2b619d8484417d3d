"""`make pictures`: follows docs/tutorials/first-model.md in Chromium, and renews the pictures of the documents."""

import io
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Final

from PIL import Image
from playwright.sync_api import Locator, Page, expect, sync_playwright

from devtools.settings_pages import ROOT
from tsukiji.cli.embedded import service
from tsukiji.client import Client
from tsukiji.kernel import log
from tsukiji.kernel.settings import LogSettings

PICTURES: Final = ROOT / "docs" / "images"
WAIT_MS: Final = 600_000
ROUNDS: Final = (0, 24, 48, 96)
COLOURS: Final = 128
"""The page has few; so pictures stay below 200 KB."""

Look = Callable[[str], object]


def follow(page: Page, look: Look, upload: Path) -> None:
    """Do each step of the tutorial, and `look` where the text has a picture.

    Args:
        page: of a browser that is signed in to a service without data sets.
        look: is called with a picture's name.
        upload: a picture of a handwritten digit.
    """
    page.set_default_timeout(WAIT_MS)
    expect.set_options(timeout=WAIT_MS)
    load_sample(page, look)
    train(page, look)
    read_matrix(page, look)
    promote(page)
    use(page, look, upload)
    classify(page, look)


def work(page: Page, name: str) -> Locator:
    """Return a link of the rail."""
    return page.get_by_role("navigation", name="Work").get_by_role("link", name=name)


def load_sample(page: Page, look: Look) -> None:
    page.goto("/")
    page.get_by_role("button", name="Load the sample").click()
    expect(page.get_by_role("heading", name="handwritten digits")).to_be_visible()
    expect(page.get_by_text("1,797 pictures, 10 labels")).to_be_visible()
    page.reload()
    page.locator("image-grid img").first.wait_for()
    look("data")


def train(page: Page, look: Look) -> None:
    work(page, "Train").click()
    page.get_by_text("Settings: network, pictures, epochs").click()
    page.get_by_label("Image size").fill("64")
    page.get_by_label("Mirror pictures").select_option("false")
    page.get_by_role("button", name="Start training").click()
    expect(page.get_by_role("link", name="Look at the model")).to_be_visible()
    look("training")


def read_matrix(page: Page, look: Look) -> None:
    page.get_by_role("link", name="Look at the model").click()
    page.locator("ol.pairs a").first.click()
    page.locator("aside img").first.wait_for()
    look("matrix")


def promote(page: Page) -> None:
    page.get_by_role("button", name="Promote to production").click()
    expect(page.locator(".badge", has_text="production")).to_be_visible()


def use(page: Page, look: Look, upload: Path) -> None:
    work(page, "Use").click()
    page.wait_for_url("**/use*")
    page.wait_for_load_state("networkidle")  # the script sends what is chosen
    page.set_input_files("#files", upload)
    page.locator("h2.decision").wait_for()
    look("use")


def classify(page: Page, look: Look) -> None:
    work(page, "Batches").click()
    page.wait_for_url("**/batches")
    page.locator("#split").select_option("valid")
    page.get_by_role("button", name="Classify the data set").click()
    download = page.get_by_role("link", name="Download CSV")
    download.wait_for()
    expect(page.get_by_role("button", name="Cancel")).to_be_hidden()
    look("batch")
    with page.expect_download():
        download.click()


def label(client: Client, page: Page, look: Look, folder: Path) -> None:
    """Look at piles of 500 digits, after rounds with ever more labels."""
    kinds = write_digits(folder, 500)
    dataset = client.datasets.create("to sort")
    dataset.upload(folder)
    images = {image.name: image.id for image in dataset.pictures()}
    names = sorted(images)
    for start, end in pairwise(ROUNDS):
        for kind in sorted(set(kinds.values())):
            chosen = [images[name] for name in names[start:end] if kinds[name] == kind]
            if chosen:
                dataset.relabel(kind, chosen)
        dataset.suggest().wait()
    page.goto(f"/datasets/{dataset.id}/label")
    page.locator("image-grid img").first.wait_for()
    look("label")


def save(page: Page, name: str) -> None:
    expect(page.locator("image-grid img:not([src])")).to_have_count(0)  # a grid loads its pictures in portions
    page.wait_for_load_state("networkidle")
    with Image.open(io.BytesIO(page.screenshot())) as shot:
        shot.convert("RGB").quantize(COLOURS).save(PICTURES / f"{name}.png", optimize=True)


def write_digit(path: Path) -> Path:
    """Write a handwritten eight, larger than those of the sample."""
    from sklearn.datasets import load_digits  # noqa: PLC0415 - slow, and needed for nothing else

    grey = load_digits().images[8]
    Image.fromarray((grey * 15.9).astype("uint8")).resize((320, 320)).save(path)
    return path


def write_digits(folder: Path, number: int) -> dict[str, str]:
    """Write digits; return which each file shows."""
    from sklearn.datasets import load_digits  # noqa: PLC0415 - slow, and needed for nothing else

    digits = load_digits()
    folder.mkdir()
    kinds = {}
    for at in range(number):
        name = f"{at:03}.png"
        Image.fromarray(((16 - digits.images[at]) * 15.9).astype("uint8")).resize((96, 96)).save(folder / name)
        kinds[name] = str(digits.target[at])
    return kinds


def main() -> None:
    binary = os.environ.get("TSUKIJI_TEST_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if not binary:
        sys.exit("Chromium is not there; `make browser` installs it")
    log.configure(LogSettings(level="warning"), "tutorial")
    with tempfile.TemporaryDirectory(prefix="tsukiji-tutorial-") as scratch, sync_playwright() as playwright:
        folder = Path(scratch)
        with service(folder) as client:
            browser = playwright.chromium.launch(executable_path=binary, args=["--no-sandbox"])
            context = browser.new_context(viewport={"width": 1280, "height": 800}, base_url=client.url)
            key = json.loads((folder / "announced.json").read_text())["api_key"]
            context.request.post("/sign-in", form={"key": key}, headers={"Origin": client.url})
            page = context.new_page()
            follow(page, lambda name: save(page, name), write_digit(folder / "eight.png"))
            label(client, page, lambda name: save(page, name), folder / "digits")
            browser.close()


if __name__ == "__main__":
    main()
