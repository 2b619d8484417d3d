"""Which pretrained weights this worker can have: those that are here, and those that it can download."""

import threading
from http.client import HTTPException
from importlib.util import find_spec
from typing import Final
from urllib.error import HTTPError
from urllib.request import urlopen

from tsukiji.settings import Settings
from tsukiji.vision.backbones import BACKBONES, DOWNLOADS, Library, file_stem, find_weights

KNOCK_SECONDS: Final = 5.0
AGAIN_SECONDS: Final = 300.0


class Reach:
    """Looks into the folders when asked, and for the libraries' servers in the background; until it knows, it hopes."""

    def __init__(self, settings: Settings) -> None:
        self._folder = settings.weights_dir
        self._closed: set[Library] = set() if settings.weights.download else set(DOWNLOADS)
        if settings.weights.download:
            threading.Thread(target=self._watch, name="reach", daemon=True).start()

    def weights(self) -> list[str]:
        """Return the weights that can be had, by the names that their files have in the weights folder."""
        return [
            file_stem(backbone, weights)
            for backbone in BACKBONES.values()
            if backbone.library != "timm" or find_spec("timm")
            for weights in backbone.weights
            if weights.library not in self._closed or find_weights(backbone, self._folder, weights)
        ]

    def _watch(self) -> None:
        while True:
            self._closed = {library for library, address in DOWNLOADS.items() if not answers(address)}
            threading.Event().wait(AGAIN_SECONDS)


def answers(address: str) -> bool:
    """Does the server answer, whatever it says?"""
    try:
        urlopen(address, timeout=KNOCK_SECONDS).close()  # noqa: S310 — an address of ours
    except HTTPError:
        return True
    except (HTTPException, OSError):
        return False
    return True
