"""A person before the page. Knows how to act, not what for."""

from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page


class Person:
    """Whoever sits before the page: every key, click and drop is counted, and every step leaves a picture."""

    def __init__(self, page: Page, folder: Path) -> None:
        self.page = page
        self.acts = 0
        self._folder = folder
        self._pictures = 0

    def click(self, target: Locator, **how: Any) -> None:
        self.acts += 1
        target.click(**how)

    def press(self, key: str) -> None:
        self.acts += 1
        self.page.keyboard.press(key)

    def write(self, text: str) -> None:
        self.acts += len(text)
        self.page.keyboard.type(text)

    def choose_folder(self, button: Locator, folder: Path) -> None:
        """Click a button and choose a folder in the dialog: two acts."""
        with self.page.expect_file_chooser() as dialog:
            self.click(button)
        self.acts += 1
        dialog.value.set_files(folder)

    def look(self, name: str) -> None:
        self._pictures += 1
        self._folder.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=self._folder / f"{self._pictures:02}-{name}.png")
