"""The compose files and the Dockerfiles as data: merged, and with their variables filled in as Compose would."""

import re
import shlex
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
VARIABLE = re.compile(r"\$(?:\$|\{(?P<name>\w+)(?:(?P<how>:[-?])(?P<rest>[^}]*))?\})")


def read(*names: str) -> dict[str, Any]:
    """Read a compose file and lay others over it: mappings are merged, everything else is replaced."""
    merged: dict[str, Any] = {}
    for name in names or ("docker-compose.yml",):
        merged = lay_over(merged, yaml.safe_load((ROOT / name).read_text("utf-8")))
    return merged


def lay_over(below: Any, above: Any) -> Any:
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return below | {key: lay_over(below.get(key), value) for key, value in above.items()}


def fill_in(value: Any, variables: dict[str, str]) -> Any:
    """Substitute `${NAME}`, `${NAME:-default}` and `${NAME:?message}` everywhere; KeyError has the message."""
    if isinstance(value, dict):
        return {key: fill_in(part, variables) for key, part in value.items()}
    if isinstance(value, list):
        return [fill_in(part, variables) for part in value]
    if not isinstance(value, str):
        return value

    def replace(found: re.Match[str]) -> str:
        name, how, rest = found["name"], found["how"], found["rest"]
        if name is None:
            return "$"
        if how == ":?" and not variables.get(name):
            raise KeyError(f"{name}: {rest}")
        return variables.get(name) or rest or ""

    return VARIABLE.sub(replace, value)


def names_in(value: Any) -> set[str]:
    """Return the variables that are filled in somewhere."""
    return {found["name"] for found in VARIABLE.finditer(yaml.safe_dump(value, width=10**6)) if found["name"]}


class Image:
    """A Dockerfile, as far as the tests ask for it."""

    def __init__(self, path: str) -> None:
        text = re.sub(r"(?m)^\s*#.*\n", "", (ROOT / path).read_text("utf-8")).replace("\\\n", " ")
        self._lines = [line.split(maxsplit=1) for line in text.splitlines() if line.strip()]

    def every(self, instruction: str) -> list[str]:
        return [rest for word, rest in self._lines if word == instruction]

    @cached_property
    def sources(self) -> list[str]:
        """What is copied from the repository."""
        return [path for line in self.every("COPY") if "--from" not in line for path in line.split()[:-1]]

    @cached_property
    def extras(self) -> set[str]:
        return set(re.findall(r"--extra (\S+)", " ".join(self.every("RUN"))))

    @cached_property
    def environment(self) -> dict[str, str]:
        return dict(pair.split("=", 1) for line in self.every("ENV") for pair in shlex.split(line))
