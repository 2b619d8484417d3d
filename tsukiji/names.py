"""Names of files as their makers meant them, and which of them systems left behind. Pure, and light."""

import re
import unicodedata
from pathlib import PurePosixPath
from typing import Final

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
"""In lower case. What begins with a dot (`.DS_Store`, `._1.jpg`, `.git`, `.Trash-1000`) is hidden, and left out too."""
FOUND_BY_CHKDSK: Final = re.compile(r"found\.\d{3}", re.IGNORECASE)


def plain_name(name: str) -> str:
    r"""Return the shortest spelling of a file's name: `/` between folders, in Unicode form NFC, no `./` in it.

    Windows writes `\`, macOS writes letters decomposed.
    """
    return str(PurePosixPath(unicodedata.normalize("NFC", name).replace("\\", "/")))


def leftover(name: str) -> str | None:
    """Return the part of a relative name that systems leave behind, or that is hidden; None where there is none."""
    return next((part for part in PurePosixPath(name).parts if _is_left_behind(part)), None)


def _is_left_behind(part: str) -> bool:
    hidden = part.startswith(".") and part != ".."
    return hidden or part.lower() in LEFT_BEHIND or FOUND_BY_CHKDSK.fullmatch(part) is not None
