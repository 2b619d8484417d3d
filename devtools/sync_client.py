"""Derives the synchronous client from the asynchronous one: `python -m devtools.sync_client`.

Tokens are replaced: `async` and `await` go, names that begin with Async lose it, and the asynchronous names of Python
and httpx2 become the others. Every line of `tsukiji/client/_sync` but those of HAND_WRITTEN is made here.
"""

import io
import re
import subprocess
import sys
import tokenize
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE, TARGET = ROOT / "tsukiji/client/_async", ROOT / "tsukiji/client/_sync"
HAND_WRITTEN = {"__init__.py", "_runtime.py", "_thumbnails.py"}
NAMES = {
    "_async": "_sync",
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "__aiter__": "__iter__",
    "__anext__": "__next__",
    "aclose": "close",
    "aiter_bytes": "iter_bytes",
    "aiter_lines": "iter_lines",
    "anext": "next",
    "aread": "read",
    "asynccontextmanager": "contextmanager",
}
HEADER = "# Made by `python -m devtools.sync_client` from tsukiji/client/_async: edit that.\n"


def derived(source: str) -> str:
    """Return the synchronous form of a module, not yet formatted."""
    lines = source.splitlines(keepends=True)
    tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    for token in reversed(tokens):  # from the end, so that places before are still right
        (row, start), (last, end) = token.start, token.end
        if token.type == tokenize.NAME:
            line = lines[row - 1]
            is_dropped = token.string in {"async", "await"}
            rest = line[end:].lstrip(" ") if is_dropped else line[end:]
            name = "" if is_dropped else NAMES.get(token.string, token.string)
            lines[row - 1] = line[:start] + plain(name) + rest
        elif token.type == tokenize.STRING:
            before, after = lines[row - 1][:start], lines[last - 1][end:]
            lines[row - 1 : last] = (before + plain(token.string) + after).splitlines(keepends=True)
    return HEADER + "".join(lines)


def plain(text: str) -> str:
    """Return a name, or text such as an annotation in quotes, without the prefix of asynchronous names."""
    return re.sub(r"\bAsync(?=[A-Z])", "", text)


def modules() -> dict[str, str]:
    """Return the text of each synchronous module, formatted, by file name."""
    names = sorted(module.name for module in SOURCE.glob("*.py") if module.name not in HAND_WRITTEN)
    with ThreadPoolExecutor() as pool:
        return dict(zip(names, pool.map(_module, names), strict=True))


def _module(name: str) -> str:
    text = derived((SOURCE / name).read_text("utf-8"))
    ruff, place = Path(sys.executable).with_name("ruff"), TARGET / name
    for command in (["check", "--select", "I", "--fix"], ["format"]):
        asked = [ruff, *command, "--quiet", "--stdin-filename", place, "-"]
        text = subprocess.run(asked, input=text, cwd=ROOT, check=True, capture_output=True, encoding="utf-8").stdout
    return text


if __name__ == "__main__":
    made = modules()
    for stale in {path.name for path in TARGET.glob("*.py")} - made.keys() - HAND_WRITTEN:
        (TARGET / stale).unlink()
    for name, text in made.items():
        (TARGET / name).write_text(text, "utf-8")
    print(f"{len(made)} modules in {TARGET.relative_to(ROOT)}")
