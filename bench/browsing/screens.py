"""All screens: how soon each is seen, how the grid scrolls, and what axe says of them."""

import json
import sys
from typing import Any, Final

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page

from tsukiji import Client

WIDTHS: Final = (360, 1280)
RULES: Final = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
VIEWS: Final = 3
"""Runs of each first view; the median counts."""
PAINT: Final = """() => new Promise((resolve) => {
    const painted = (list) => Math.max(0, ...list.map((entry) => entry.startTime));
    new PerformanceObserver((list) => resolve(painted(list.getEntries()))).observe(
        { type: "largest-contentful-paint", buffered: true });
    setTimeout(() => resolve(painted(performance.getEntriesByName("first-contentful-paint"))), 3000);
})"""
TASKS: Final = ("ThreadControllerImpl::RunTask", "RunTask")
SCROLL: Final = """async () => {
    let long = 0;
    const observer = new PerformanceObserver((list) => {
        long += list.getEntries().filter((entry) => entry.duration > 100).length;
    });
    observer.observe({ type: "longtask" });
    for (let step = 0; step < 200; step++) {
        window.scrollBy(0, 600);
        await new Promise((resolve) => setTimeout(resolve, 25));
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
    return long;
}"""


def screens(client: Client, dataset: str) -> list[str]:
    model = next(iter(client.models.list())).id
    batch = next(iter(client.batches.list())).id
    training = next(iter(client.trainings.list())).id
    at = f"/datasets/{dataset}"
    return [
        "/",
        at,
        f"{at}?view=labels",
        f"{at}/label",
        f"{at}/curate",
        f"{at}/train",
        f"/trainings/{training}",
        f"/models/{model}",
        "/use",
        "/batches",
        f"/batches/{batch}",
        "/jobs",
        f"/jobs/{training}",
        "/keys",
        "/search?q=pets",
        "/style",
    ]


def see(page: Page, client: Client, dataset: str) -> dict[str, Any]:
    """Return how soon each screen of the large data set is seen, and how its grid scrolls."""
    seconds = {}
    for path in screens(client, dataset):
        runs = []
        for _ in range(VIEWS):
            page.goto(path, wait_until="commit")
            runs.append(page.evaluate(PAINT) / 1000)
        seconds[path.replace(dataset, "LARGE")] = sorted(runs)[VIEWS // 2]
    return {
        "first_view_seconds_max": max(seconds.values()),
        "first_view_seconds": {path: round(each, 3) for path, each in seconds.items()},
        **scroll(page, dataset),
    }


def scroll(page: Page, dataset: str) -> dict[str, Any]:
    """Scroll the grid of the data set, and before, for comparison, a page without anything.

    `long_tasks` are measured by the clock: on a machine that is busy with other things, tasks wait for a processor, and
    the empty page has long tasks as well. `task_cpu_ms_max` is what the longest task computed, however long it waited.
    """
    browser = page.context.browser
    assert browser is not None
    page.goto("/sign-in")
    page.evaluate("document.body.style.height = '200000px'")
    empty = page.evaluate(SCROLL)
    page.goto(f"/datasets/{dataset}")
    page.locator("image-grid .tile").first.wait_for()
    browser.start_tracing(page=page, categories=["toplevel", "devtools.timeline"])
    long = page.evaluate(SCROLL)
    events = json.loads(browser.stop_tracing())["traceEvents"]
    main = {(each["pid"], each["tid"]) for each in events if each.get("args", {}).get("name") == "CrRendererMain"}
    used = [
        each.get("tdur", 0) / 1000 for each in events if each["name"] in TASKS and (each["pid"], each["tid"]) in main
    ]
    return {"long_tasks": long, "long_tasks_empty_page": empty, "task_cpu_ms_max": max(used, default=None)}


def check_accessibility(browser: Browser, context: BrowserContext, client: Client) -> int:
    """Return the number of serious and critical findings; each is printed."""
    found = 0
    dataset = client.datasets.get("pets").id
    for scheme in ("light", "dark"):
        for width in WIDTHS:
            opened = browser.new_context(
                viewport={"width": width, "height": 900},
                color_scheme=scheme,
                base_url=client.url,
                storage_state=context.storage_state(),
            )
            page = opened.new_page()
            for path in screens(client, dataset):
                page.goto(path)
                page.wait_for_load_state("load")
                violations = Axe().run(page, options=RULES).response["violations"]
                for each in violations:
                    if each["impact"] in {"serious", "critical"}:
                        found += 1
                        where = each["nodes"][0]["html"][:120]
                        sys.stderr.write(json.dumps([path, scheme, width, each["id"], where]) + "\n")
            opened.close()
    return found
