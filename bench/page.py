"""The page, driven in headless Chromium as a person would.

`acts_journey`: acts (a key, a click, a drop) from an empty service to a downloaded table: 400 photos without labels are
added and labelled with the model, a model is trained, its matrix read, five wrong labels that were planted are found by
curation and mended, the model is trained again, a folder is classified, and the results are downloaded as CSV.
`acts_label_400`: those of them from the first pile to labels of which 99% are right (`label_accuracy`). The driver sees
what the page shows, and knows the right label of each photo, as a person does. Each letter of a typed word is an act.
`axe_serious`: serious and critical findings of axe on all screens, light and dark, at 360 and 1280 px.
`first_view_seconds_max`: from the request to the largest contentful paint, of the slowest screen, with a data set of
50,000 images and 100 labels. `long_tasks`: tasks of more than 100 ms by the clock while its grid is scrolled, beside
those of an empty page (`long_tasks_empty_page`); `task_cpu_ms_max`: the most that one task computed.
`requests_elsewhere`: requests of the page to another origin. Pictures of every step are kept in `--pictures`.
"""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright

from bench.browsing import large
from bench.browsing.journey import journey
from bench.browsing.person import Person
from bench.browsing.screens import check_accessibility, see
from bench.report import parse, pictures, show
from tsukiji import Client
from tsukiji.cli.embedded import service
from tsukiji.kernel import log
from tsukiji.kernel.settings import LogSettings

WAIT_MS: Final = 400_000


def main() -> None:
    parser = parse(__doc__)
    parser.add_argument("--pictures", type=Path, help="folder for a picture of each step; none by default")
    parser.add_argument("--images", type=int, default=50_000, help="images of the large data set")
    options = parser.parse_args()
    if options.quick:
        options.images = 2000
    binary = os.environ.get("TSUKIJI_TEST_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if not binary:
        sys.exit("bench.page: Chromium is not there; `make browser` installs it")
    log.configure(LogSettings(level="warning"), "page")
    with tempfile.TemporaryDirectory(prefix="tsukiji-page-") as scratch, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, args=["--no-sandbox"])
        figures = measure(browser, options.data, options.images, Path(scratch), options.pictures)
        browser.close()
    show("the page", figures, as_json=options.json)


def measure(browser: Browser, data: list[Path], images: int, scratch: Path, shots: Path | None) -> dict[str, Any]:
    photos = pictures(data, 400, scratch / "photos")
    folder, truth = strip_labels(photos, scratch / "pets")
    (scratch / "service").mkdir()
    with service(scratch / "service") as client, signed_in(browser, client, scratch) as (context, elsewhere):
        page = context.new_page()
        person = Person(page, shots or scratch / "pictures")
        figures = journey(person, client, folder, truth)
        dataset = large.fill(scratch / "service" / "data", images)
        figures |= see(page, client, dataset)
        figures["axe_serious"] = check_accessibility(browser, context, client)
        figures |= {"requests_elsewhere": len(elsewhere), "images": images, "seeds": [], "runs": 1}
    return figures


def strip_labels(photos: list[Path], folder: Path) -> tuple[Path, dict[str, str]]:
    """Link photos under names that say nothing; returns the folder, and the label of each name."""
    folder.mkdir()
    truth = {}
    for number, photo in enumerate(sorted(photos, key=lambda path: path.name[::-1])):
        name = f"{number:05}{photo.suffix}"
        truth[name] = photo.parent.name
        shutil.copyfile(photo, folder / name)
    return folder, truth


@contextmanager
def signed_in(browser: Browser, client: Client, scratch: Path) -> Iterator[tuple[BrowserContext, list[str]]]:
    """Open a browser that is signed in; also returns what it asked of other origins."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, base_url=client.url, accept_downloads=True)
    context.set_default_timeout(WAIT_MS)
    expect.set_options(timeout=WAIT_MS)
    elsewhere: list[str] = []
    own = (client.url, "data:", "blob:")
    context.on("request", lambda sent: None if sent.url.startswith(own) else elsewhere.append(sent.url))
    key = json.loads((scratch / "service" / "announced.json").read_text())["api_key"]
    context.request.post("/sign-in", form={"key": key}, headers={"Origin": client.url})
    yield context, elsewhere
    context.close()


if __name__ == "__main__":
    main()
