"""The pretrained weights that this worker can load: local ones, and those it can download."""

import math
import time
from http.client import HTTPException
from importlib.util import find_spec
from typing import Final
from urllib.error import HTTPError
from urllib.request import urlopen

from tsukiji.jobs import Queue
from tsukiji.kernel.settings import Settings
from tsukiji.vision.backbones import BACKBONES, DOWNLOADS, Library, file_stem, find_weights

LOADS_WEIGHTS: Final = (Queue.TRAIN, Queue.INTAKE)
"""Queues whose work loads pretrained weights: trainings, and analyses."""
PROBE_SECONDS: Final = 5.0
AGAIN_SECONDS: Final = 900.0


class AvailableWeights:
    """Checks the folders on every call, and probes the libraries' servers on request."""

    def __init__(self, settings: Settings) -> None:
        self._folder = settings.weights_dir
        self._closed: set[Library] | None = None if settings.weights.download else set(DOWNLOADS)
        self._download = settings.weights.download
        self._asked = -math.inf

    def weights(self) -> list[str] | None:
        """Return the available weights, by their file names in the weights folder; None: not known yet."""
        closed = self._closed
        if closed is None:
            return None
        return [
            file_stem(backbone, weights)
            for backbone in BACKBONES.values()
            if backbone.library != "timm" or find_spec("timm")
            for weights in backbone.weights
            if weights.library not in closed or find_weights(backbone, self._folder, weights)
        ]

    def probe(self) -> bool:
        """Probe the libraries' servers, unless done recently or downloads are off; returns whether it did."""
        if not self._download or time.monotonic() - self._asked < AGAIN_SECONDS:
            return False
        self._closed = {library for library, address in DOWNLOADS.items() if not answers(address)}
        self._asked = time.monotonic()
        return True


def answers(address: str) -> bool:
    """Return whether the server responds, with any status."""
    try:
        urlopen(address, timeout=PROBE_SECONDS).close()  # noqa: S310 — an address of ours
    except HTTPError:
        return True
    except (HTTPException, OSError):
        return False
    return True
