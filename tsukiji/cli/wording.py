"""What the service says in the words of HTTP, in those of the command line. Knows no command."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from tsukiji.cli.output import text

ADDRESSES: Final = {
    "GET /v1/limits": "`tsukiji limits`",
    "GET /v1/models": "`tsukiji models ls`",
    "GET /v1/models/{model}/package": "`tsukiji models export MODEL`",
    "POST /v1/models/{model}/exports": "`tsukiji models export MODEL --format FORMAT`",
    "GET /v1/uploads": "`tsukiji uploads ls`",
}
"""An address that is not listed has no command; it is named as it is."""
FIELDS: Final = {
    "pretrained": "--no-pretrained",
    "flip": "--no-flip",
    "retention_days": "--keep-days",
    "top_k": "--top",
}
"""Fields whose option has another name."""

_ADDRESS: Final = re.compile(r"\b(?:GET|POST|PUT|DELETE) /v1/[\w/{}]*[\w}]")
_RECIPE: Final = re.compile(r"\brecipe\.(\w+)(?:=false)?")
_POINTER: Final = re.compile(r"#(?:/[\w~]+)+")
_MEMBER: Final = re.compile(r"`(\w+)`")


def names_of(parameters: Iterable[Any]) -> dict[str, str]:
    """Return how each parameter of a command is written, by its name: `--image-size`, `DATASET`."""
    written = {one.name: one.opts[0] if one.param_type_name == "option" else one.metavar for one in parameters}
    return {name: way or name.upper() for name, way in written.items()}


def place(found: str, names: Mapping[str, str]) -> str:
    """Return the option or argument for a pointer into the body or a parameter, where the command has it."""
    steps = [step for step in found.lstrip("#/").split("/") if not step.isdecimal()]
    name = steps[-1] if steps else ""
    option = FIELDS.get(name, "")
    return option if option in names.values() else names.get(name, found)


def sentence(said: str, names: Mapping[str, str]) -> str:
    """Translate what happened, which may begin with the place that is wrong."""
    head, colon, rest = said.partition(": ")
    if colon and head.isidentifier():
        said = f"{place(head, names)}: {rest}"
    return way_out(_POINTER.sub(lambda match: place(match[0], names), said))


def way_out(hint: str, members: Mapping[str, Any] | None = None) -> str:
    """Translate what to do about it, with the values of the members that it names."""
    told = {name: value for name, value in (members or {}).items() if isinstance(value, str | int | list)}
    hint = _ADDRESS.sub(lambda match: ADDRESSES.get(match[0], match[0]), hint)
    hint = _RECIPE.sub(lambda match: FIELDS.get(match[1], "--" + match[1].replace("_", "-")), hint)
    return _MEMBER.sub(lambda match: f"`{match[1]}` ({text(told[match[1]])})" if match[1] in told else match[0], hint)
