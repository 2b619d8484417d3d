"""File names: normalisation, safe names, and operating systems' junk files. Pure, and light."""

import re
import unicodedata
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import quote, unquote

LEFT_BEHIND: Final = frozenset(
    {
        "__macosx", "icon\r", "temporary items", "network trash folder", "thedatabasecache",  # macOS
        "thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "$recycle.bin", "recycler",  # Windows
        "system volume information",
        "@eadir", "#recycle", "#snapshot", "@tmp", "@sharebin",  # Synology
        "@recycle", "@recently-snapshot",  # QNAP
        "lost+found", "lost.dir",  # ext4, Android
        "__pycache__",
    }
)  # fmt: skip
"""Lower case. Names that begin with a dot (`.DS_Store`, `._1.jpg`, `.git`, `.Trash-1000`) are hidden: skipped too."""
FOUND_BY_CHKDSK: Final = re.compile(r"found\.\d{3}", re.IGNORECASE)
UNSAFE: Final = frozenset('/\\:*?"<>|%') | {chr(code) for code in [*range(32), 127]}
"""Characters refused by some file system, and the percent sign of encoded ones."""
DEVICES: Final = frozenset(
    {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10))}
)
"""Names reserved by Windows, with any suffix."""


def plain_name(name: str) -> str:
    r"""Return the normalised name of a file: `/` between folders, in Unicode form NFC, without `./`.

    Windows writes `\`, macOS writes letters decomposed.
    """
    return str(PurePosixPath(unicodedata.normalize("NFC", name).replace("\\", "/")))


def leftover(name: str) -> str | None:
    """Return the part of a relative name that is hidden or an operating system's junk; None if there is none."""
    return next((part for part in PurePosixPath(name).parts if _is_left_behind(part)), None)


def _is_left_behind(part: str) -> bool:
    hidden = part.startswith(".") and part != ".."
    return hidden or part.lower() in LEFT_BEHIND or FOUND_BY_CHKDSK.fullmatch(part) is not None


def path_safe(text: str) -> str:
    """Return a file name for a text, valid in every file system; `from_path` reverses it.

    Invalid and hidden names are percent-encoded, so different texts stay different.
    """
    encoded = "".join(quote(char, safe="") if char in UNSAFE else char for char in text)
    if encoded.endswith((".", " ")):
        encoded = encoded[:-1] + _encoded(encoded[-1])
    if leftover(encoded) or encoded.partition(".")[0].lower() in DEVICES:
        encoded = _encoded(encoded[0]) + encoded[1:]
    return encoded


def from_path(name: str) -> str:
    """Return the text from which `path_safe` made a name; any other name unchanged."""
    text = unquote(name)
    return text if path_safe(text) == name else name


def _encoded(char: str) -> str:
    return "".join(f"%{byte:02X}" for byte in char.encode())
