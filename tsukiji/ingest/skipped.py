"""Files that are skipped, or whose names are guessed, in a folder, archive or prefix: counted for warnings. Pure."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Code = Literal[
    "leftovers_passed_over", "links_passed_over", "folders_passed_over", "files_passed_over", "names_guessed"
]

TEXTS: Final[dict[Code, str]] = {
    "leftovers_passed_over": "Skipped hidden files, and files that devices and systems leave behind",
    "links_passed_over": "Skipped links that lead nowhere, or back to a folder above them",
    "folders_passed_over": "Skipped folders that cannot be read",
    "files_passed_over": "Skipped files that are not pictures by name or content",
    "names_guessed": "Names decoded with a guessed encoding (set `encoding` if they look wrong)",
}
SHOWN: Final = 5
NAME_CHARACTERS: Final = 200
PARTS: Final = 1000
"""Most distinct parts counted separately."""


@dataclass
class _Found:
    count: int = 0
    names: list[str] = field(default_factory=list)
    parts: Counter[str] = field(default_factory=Counter)


class SkippedFiles:
    """Counts by kind, with the first names of each."""

    def __init__(self) -> None:
        self._found: dict[Code, _Found] = {}

    def add(self, code: Code, name: str, part: str | None = None) -> None:
        """Count one more; `part` is its subkind, such as `@eaDir`, or the code page."""
        found = self._found.setdefault(code, _Found())
        found.count += 1
        if len(found.names) < SHOWN:
            found.names.append(name[:NAME_CHARACTERS])
        if part is not None and (part in found.parts or len(found.parts) < PARTS):
            found.parts[part] += 1

    def warnings(self) -> list[dict[str, Any]]:
        """Return a warning for each kind: `code`, `detail`, `count`, and the first `names`."""
        return [
            {"code": code, "detail": _detail(TEXTS[code], found), "count": found.count, "names": found.names}
            for code, found in sorted(self._found.items())
        ]

    def __str__(self) -> str:
        """Return all of it as sentences."""
        return " ".join(warning["detail"] for warning in self.warnings())


def _detail(text: str, found: _Found) -> str:
    parts = [f"{_shown(part)} {count:,}" for part, count in found.parts.most_common(SHOWN)]
    more = ["..."] if found.count > len(found.names) and not parts else []
    return f"{text}: {found.count:,} ({', '.join(parts or [*map(_shown, found.names), *more])})."


def _shown(name: str) -> str:
    return name if name.isprintable() else repr(name)
