"""Labels: parsing folder names, and storing the labels of one picture as one text.

Pure; used by client and service.
"""

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from difflib import get_close_matches
from typing import Any, Final, TypedDict

from tsukiji.names import from_path, path_safe

SEPARATOR: Final = "\x1f"
"""Before, between and after the labels of a set; `clean_label` makes sure that no label contains it."""
MAX_SET_BYTES: Final = 1200
PLUS: Final = "+"
"""Between labels in a folder's name: valid in every file system, and unlike `,`, `_` or `-` rare in labels."""
ESCAPED_PLUS: Final = "%2B"
CELL_SEPARATORS: Final = "|;"
"""Between labels in a table's cell."""
CELL_MARKS: Final = frozenset(f"{CELL_SEPARATORS},")
"""Possible separators in a cell; the comma only if no cell has the others."""
LABEL_CHARACTERS: Final = 200
INVISIBLE: Final = "\u00ad\u200b\u200e\u200f\u2060\ufeff\u202a-\u202e\u2066-\u2069"
"""Characters without width or meaning at the end of a word; joiners are excluded, since scripts and emoji need them."""
AROUND: Final = re.compile(rf"\A[\s{INVISIBLE}]+|[\s{INVISIBLE}]+\Z")
UNREADABLE: Final = frozenset({"Cc", "Cs"})
"""Unicode categories: control characters, and surrogates."""


def folder_labels(folder: str) -> list[str]:
    """Return the labels in a folder's name: `ant+bee` has two, `ant` one, `+` none at all."""
    words = (clean_word(PLUS.join(map(from_path, trim(word).split(ESCAPED_PLUS)))) for word in folder.split(PLUS))
    return sorted({word for word in words if word})


def label_folder(text: str) -> str:
    """Return the name of the folder for a label, or for a set of them: `ant+bee`, and `+` for none.

    `from_path` returns the label, `folder_labels` the set.
    """
    if not is_set(text):
        return path_safe(text)
    return PLUS.join(path_safe(label).replace(PLUS, ESCAPED_PLUS) for label in split_labels(text)) or PLUS


def trim(text: str) -> str:
    """Return a word in Unicode form NFC, without surrounding spaces and invisible characters."""
    return AROUND.sub("", unicodedata.normalize("NFC", text))


def clean_word(text: str | None, what: str = "label") -> str | None:
    """Return a normalised label or group: trimmed, in Unicode form NFC; None if empty.

    Raises:
        ValueError: it has control characters, or more than `LABEL_CHARACTERS`.
    """
    word = trim(text or "")
    if any(unicodedata.category(char) in UNREADABLE for char in word):
        raise ValueError(f"a {what} must not have control characters")
    if len(word) > LABEL_CHARACTERS:
        raise ValueError(f"a {what} may have at most {LABEL_CHARACTERS} characters; this has {len(word):,}")
    return word or None


def clean_label(text: str) -> str:
    """Return a normalised label.

    Raises:
        ValueError: it is empty, or refused by `clean_word`.
    """
    label = clean_word(text)
    if label is None:
        raise ValueError("a label must not be empty")
    return label


def clean_labels(labels: Iterable[str]) -> str:
    """Return the stored text of a set of labels, normalised.

    Raises:
        ValueError: one is empty or refused by `clean_word`, or the text is too long.
    """
    return join_labels(map(clean_label, labels))


def look_alikes(labels: Iterable[str], new: Collection[str]) -> list[dict[str, str]]:
    """Return warnings about labels that differ only in case, width or spaces (`Cat`, `cat`), at least one new."""
    alike: dict[str, list[str]] = {}
    for label in sorted(set(labels)):
        alike.setdefault(_bare(label), []).append(label)
    warnings = []
    for found in alike.values():
        if len(found) > 1 and not set(found).isdisjoint(new):
            detail = f"{', '.join(map(repr, found))[:500]} are different labels. Merge them if they mean the same."
            warnings.append({"code": "labels_alike", "detail": detail})
    return warnings


def under_two_labels(pictures: int, first: tuple[str, str], again: tuple[str, str]) -> dict[str, Any]:
    """Return the warning about pictures added under two labels.

    Args:
        pictures: how many.
        first: stored name and label of one of them.
        again: name and label under which it was added again.
    """
    many = "1 picture came" if pictures == 1 else f"{pictures:,} pictures came"
    detail = (
        f"{many} under two labels, such as {first[0]!r} and {again[0]!r}; the label of the first path is kept, here "
        f"{first[1]!r} and not {again[1]!r}. An analysis lists them: `tsukiji datasets check DATASET --kind "
        f"conflicting_labels`."
    )
    return {"code": "conflicting_labels", "count": pictures, "names": [first[0], again[0]], "detail": detail}


def _bare(label: str) -> str:
    word = unicodedata.normalize("NFKC", label).casefold()
    return "".join(char for char in word if not char.isspace() and unicodedata.category(char) != "Cf")


def join_labels(labels: Iterable[str]) -> str:
    """Return a set of labels as one text, sorted: equal sets have equal texts, as rows and indexes require.

    Each label has separators on both sides, so that a text with `SEPARATOR + label + SEPARATOR` has that label. The
    empty set, none of the labels, is one separator; unlabelled is None, as everywhere.

    Raises:
        ValueError: the text is too long.
    """
    text = SEPARATOR + "".join(label + SEPARATOR for label in sorted(set(labels)))
    if len(text.encode()) > MAX_SET_BYTES:
        raise ValueError(f"the labels of one image may have at most {MAX_SET_BYTES} bytes together")
    return text


def split_labels(text: str) -> list[str]:
    """Return the labels in a text from `join_labels`, sorted; for any other text, that text alone."""
    return text.split(SEPARATOR)[1:-1] if text.startswith(SEPARATOR) else [text]


class LabelMembers(TypedDict):
    """Label members of API responses."""

    label: str | None
    """The only label; None for a set."""
    labels: list[str] | None
    """All labels; None if unlabelled."""


def label_members(text: str | None) -> LabelMembers:
    """Return the response members for a picture's labels, given the stored text."""
    return {"label": one_label(text), "labels": all_labels(text)}


def is_set(text: str | None) -> bool:
    """Return whether the text is from `join_labels`."""
    return text is not None and text.startswith(SEPARATOR)


def cell(text: str | None) -> str | None:
    """Return a picture's labels as a table's cell: `ant|bee`, or JSON if that would be ambiguous.

    A single label is unchanged.
    """
    if text is None or not is_set(text):
        return text
    labels = split_labels(text)
    if not labels or labels[0].startswith(("[", "{")) or any(mark in label for label in labels for mark in CELL_MARKS):
        return json.dumps(labels, ensure_ascii=False)
    return CELL_SEPARATORS[0].join(labels)


def count_labels(counts: Iterable[tuple[str | None, int]]) -> Counter[str]:
    """Return image counts per label from counts per text; an image counts for each of its labels."""
    found: Counter[str] = Counter()
    for text, images in counts:
        for label in [] if text is None else split_labels(text):
            found[label] += images
    return found


def join_fitting(labels: Sequence[str]) -> str:
    """As `join_labels`; if the text would be too long, with as many of the first labels as fit."""
    for count in range(len(labels), 0, -1):
        with suppress(ValueError):
            return join_labels(labels[:count])
    return SEPARATOR


def decide_set(names: Sequence[str], probabilities: Sequence[float], thresholds: Sequence[float]) -> str:
    """Return the labels whose probability reaches the threshold, as one text; the likeliest if too long."""
    of = list(zip(names, map(float, probabilities), thresholds, strict=True))
    reached = [(probability, name) for name, probability, threshold in of if probability >= threshold]
    return join_fitting([name for _, name in sorted(reached, reverse=True)])


def one_label(text: str | None) -> str | None:
    """Return the label of a single-label image; None for a set or an unlabelled image."""
    return None if is_set(text) else text


def all_labels(text: str | None) -> list[str] | None:
    """Return all labels of an image; None if unlabelled."""
    return None if text is None else split_labels(text)


LISTED: Final = 10


def near_miss(label: str, known: Iterable[str]) -> str:
    """Return a hint with the existing labels most similar to an unknown one."""
    by_case = {each.casefold(): each for each in sorted(known)}
    similar = get_close_matches(label.casefold(), by_case, n=1)
    if similar:
        return f"Did you mean {by_case[similar[0]]!r}?"
    listed = ", ".join(map(repr, list(by_case.values())[:LISTED]))
    return f"There are {listed}{', ...' if len(by_case) > LISTED else ''}." if listed else "There are no labels yet."
