"""Opening the page in a local browser, and addresses of sign-in links."""

import os
import sys
import webbrowser
from typing import Final
from urllib.parse import urlencode

SIGN_IN_LINK: Final = "/sign-in/link"
ADDRESS_FILE: Final = "address"
"""File in the data folder with the address of the service started there by `tsukiji up`."""


def sign_in_path(token: str) -> str:
    return f"{SIGN_IN_LINK}?{urlencode({'token': token})}"


def has_display() -> bool:
    """Return whether this machine has a display: a text browser would take over the terminal."""
    if "SSH_CONNECTION" in os.environ:
        return False
    return sys.platform in {"darwin", "win32"} or bool({"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys())


def open_browser(url: str) -> bool:
    """Open an address in a browser if there is one; returns whether it did."""
    if not has_display():
        return False
    try:
        return webbrowser.open(url)
    except webbrowser.Error:
        return False
