"""The page in a browser on this machine, and the address of a link that signs in."""

import os
import sys
import webbrowser
from typing import Final
from urllib.parse import urlencode

SIGN_IN_LINK: Final = "/sign-in/link"
ADDRESS_FILE: Final = "address"
"""In the data folder: where the service that `tsukiji up` runs there listens."""


def sign_in_path(token: str) -> str:
    return f"{SIGN_IN_LINK}?{urlencode({'token': token})}"


def has_display() -> bool:
    """Is a person before a screen of this machine? Browsers for terminals would take over the terminal."""
    if "SSH_CONNECTION" in os.environ:
        return False
    return sys.platform in {"darwin", "win32"} or bool({"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys())


def open_browser(url: str) -> bool:
    """Open an address where there is a browser; returns whether there is one."""
    if not has_display():
        return False
    try:
        return webbrowser.open(url)
    except webbrowser.Error:
        return False
