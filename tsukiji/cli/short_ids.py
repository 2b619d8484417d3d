"""Ids by their first characters: as tables show them, and as arguments take them."""

import re
from collections.abc import Callable, Collection, Iterable
from itertools import takewhile
from typing import Any, Final

import typer

from tsukiji.client import Client

TIME_CHARACTERS: Final = 10
"""The characters of an id that tell the millisecond of its making; the next 16 are random."""
WHOLE: Final = re.compile(r"([a-z]+)_[0-9a-z]{26}")
SHORT: Final = re.compile(rf"([a-z]+)_[0-9a-z]{{{TIME_CHARACTERS},25}}")
LISTS: Final[dict[str, Callable[[Client], Iterable[Any]]]] = {
    "ds": lambda client: client.datasets.list(),
    "mdl": lambda client: client.models.list(),
    "evl": lambda client: client.evaluations.list(),
    "upl": lambda client: client.uploads.list(),
    "trn": lambda client: client.jobs.list(kind="training"),
    "bat": lambda client: client.jobs.list(kind="batch"),
    "prd": lambda client: client.jobs.list(kind="prediction"),
    "imp": lambda client: client.jobs.list(kind="import"),
    "evj": lambda client: client.jobs.list(kind="evaluation"),
    "exp": lambda client: client.jobs.list(kind="export"),
    "ana": lambda client: client.jobs.list(kind="analysis"),
}
"""Where the ids of each prefix are listed, the newest first."""


def shortened(column: Collection[str]) -> dict[str, str]:
    """Return how a table writes each of the ids in a column: those that `whole_id` completes are cut."""
    ids = {cell for cell in column if (match := WHOLE.fullmatch(cell)) and match[1] in LISTS}
    return {each: short_id(each, ids) for each in ids}


def short_id(whole: str, others: Collection[str] = ()) -> str:
    """Return the first characters of an id, as many as tell it from the others."""
    length = whole.find("_") + 1 + TIME_CHARACTERS
    while length < len(whole) and any(other.startswith(whole[:length]) for other in others if other != whole):
        length += 1
    return whole[:length]


def whole_id(word: str | None) -> str | None:
    """Complete the first characters of an id; anything else, such as a name, is returned as it is.

    Raises:
        typer.BadParameter: several ids begin with them.
    """
    match = SHORT.fullmatch(word or "")
    if word is None or match is None or match[1] not in LISTS:
        return word
    with Client() as client:
        newer = takewhile(lambda each: each.id >= word, LISTS[match[1]](client))
        found = sorted({each.id for each in newer if each.id.startswith(word)})
    if len(found) > 1:
        raise typer.BadParameter(f"{word} is the beginning of {len(found)} ids: {', '.join(found)}.")
    return found[0] if found else word
