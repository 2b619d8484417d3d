"""A person before the page. Knows how to act, not what for."""

from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page


class Person:
    """Whoever sits before the page: every key, click and drop is counted, and every step leaves a picture."""

    def __init__(self, page: Page, folder: Path) -> None:
        self.page = page
        self.done: list[str] = []
        self._folder = folder
        self._pictures = 0

    @property
    def acts(self) -> int:
        return len(self.done)

    def click(self, target: Locator, what: str, **how: Any) -> None:
        self.done.append(f"click {what}")
        target.click(**how)

    def press(self, key: str, why: str) -> None:
        self.done.append(f"{key}: {why}")
        self.page.keyboard.press(key)

    def write(self, text: str) -> None:
        self.done += [f"type {letter}" for letter in text]
        self.page.keyboard.type(text)

    def drop(self, folder: Path) -> None:
        """Drag a folder from the desktop to the middle of the window, and let it go: one act."""
        self.done.append(f"drop {folder.name}")
        mouse = self.page.context.new_cdp_session(self.page)
        dragged = {"items": [], "files": [str(folder)], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            mouse.send("Input.dispatchDragEvent", {"type": kind, "x": 700, "y": 400, "data": dragged})
        mouse.detach()

    def look(self, name: str) -> None:
        self._pictures += 1
        self._folder.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=self._folder / f"{self._pictures:02}-{name}.png")
