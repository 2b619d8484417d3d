"""Labels: what a folder's name lists, and the labels of one picture as one text.

Pure: the client and the service both ask here.
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
"""Before, between and after the labels of a set; no label can hold it, as `clean_label` sees to."""
MAX_SET_BYTES: Final = 1200
PLUS: Final = "+"
"""Between the labels of a folder's name: every file system takes it, and unlike `,`, `_` or `-` few labels hold it."""
ESCAPED_PLUS: Final = "%2B"
CELL_SEPARATORS: Final = "|;"
"""Between the labels of a table's cell."""
CELL_MARKS: Final = frozenset(f"{CELL_SEPARATORS},")
"""What may part labels in a cell; the comma only where no cell has the others."""
LABEL_CHARACTERS: Final = 200
INVISIBLE: Final = "\u00ad\u200b\u200e\u200f\u2060\ufeff\u202a-\u202e\u2066-\u2069"
"""What has no width and no meaning at an end of a word; joiners are not among it, since scripts and emoji need them."""
AROUND: Final = re.compile(rf"\A[\s{INVISIBLE}]+|[\s{INVISIBLE}]+\Z")
UNREADABLE: Final = frozenset({"Cc", "Cs"})
"""Categories of Unicode: control characters, and halves of characters."""


def folder_labels(folder: str) -> list[str]:
    """Return the labels that a folder's name lists: `ant+bee` two, `ant` one, `+` none at all."""
    words = (clean_word(PLUS.join(map(from_path, trim(word).split(ESCAPED_PLUS)))) for word in folder.split(PLUS))
    return sorted({word for word in words if word})


def label_folder(text: str) -> str:
    """Return the name of the folder for a label, or for a set of them: `ant+bee`, and `+` for none.

    `from_path` gives back the label, `folder_labels` the set.
    """
    if not is_set(text):
        return path_safe(text)
    return PLUS.join(path_safe(label).replace(PLUS, ESCAPED_PLUS) for label in split_labels(text)) or PLUS


def trim(text: str) -> str:
    """Return a word in Unicode form NFC, without spaces and what cannot be seen around it."""
    return AROUND.sub("", unicodedata.normalize("NFC", text))


def clean_word(text: str | None, what: str = "label") -> str | None:
    """Return a label or group as it is kept, whichever way it comes in: trimmed, in Unicode form NFC.

    None where nothing is left.

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
    """Return a label as it is kept.

    Raises:
        ValueError: it is empty, or what `clean_word` refuses.
    """
    label = clean_word(text)
    if label is None:
        raise ValueError("a label must not be empty")
    return label


def clean_labels(labels: Iterable[str]) -> str:
    """Return the text of a set of labels as it is kept.

    Raises:
        ValueError: one is empty or what `clean_word` refuses, or they are too long together.
    """
    return join_labels(map(clean_label, labels))


def look_alikes(labels: Iterable[str], new: Collection[str]) -> list[dict[str, str]]:
    """Return warnings of labels that differ only in case, width or spaces (`Cat`, `cat`), one of them new."""
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
    """Return the warning of pictures that came under two labels.

    Args:
        pictures: how many.
        first: name and label under which one of them is kept.
        again: name and label under which it came again.
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
    """Return a set of labels as one text, in one order: equal sets are equal texts, as rows and indexes need it.

    Each label stands between separators, so that a text that holds `SEPARATOR + label + SEPARATOR` has that label. The
    empty set, none of the labels, is one separator; that nothing is known of a picture is None, as everywhere.

    Raises:
        ValueError: they are too long together.
    """
    text = SEPARATOR + "".join(label + SEPARATOR for label in sorted(set(labels)))
    if len(text.encode()) > MAX_SET_BYTES:
        raise ValueError(f"the labels of one image may have at most {MAX_SET_BYTES} bytes together")
    return text


def split_labels(text: str) -> list[str]:
    """Return the labels of what `join_labels` made, sorted; of any other text, that text alone."""
    return text.split(SEPARATOR)[1:-1] if text.startswith(SEPARATOR) else [text]


class Told(TypedDict):
    """What users read of a picture's labels."""

    label: str | None
    """Its one label; None of a set."""
    labels: list[str] | None
    """All of them; None where nothing is known."""


def told(text: str | None) -> Told:
    """Return the labels of a picture as users read them, from the one text that is kept."""
    return {"label": one_label(text), "labels": all_labels(text)}


def is_set(text: str | None) -> bool:
    """Return whether `join_labels` made this."""
    return text is not None and text.startswith(SEPARATOR)


def cell(text: str | None) -> str | None:
    """Return a picture's labels as a table's cell holds them: `ant|bee`, or as JSON where that would mean another set.

    A single label stands as it is.
    """
    if text is None or not is_set(text):
        return text
    labels = split_labels(text)
    if not labels or labels[0].startswith(("[", "{")) or any(mark in label for label in labels for mark in CELL_MARKS):
        return json.dumps(labels, ensure_ascii=False)
    return CELL_SEPARATORS[0].join(labels)


def count_labels(counts: Iterable[tuple[str | None, int]]) -> Counter[str]:
    """Return images per label, an image for each of its labels, from images per text; unlabelled ones are left out."""
    found: Counter[str] = Counter()
    for text, images in counts:
        for label in [] if text is None else split_labels(text):
            found[label] += images
    return found


def join_fitting(labels: Sequence[str]) -> str:
    """Return what `join_labels` does; of more labels than a text has room for, the first ones."""
    for count in range(len(labels), 0, -1):
        with suppress(ValueError):
            return join_labels(labels[:count])
    return SEPARATOR


def decide_set(names: Sequence[str], probabilities: Sequence[float], thresholds: Sequence[float]) -> str:
    """Return the labels whose probability reaches the threshold, as one text; the likeliest of more than fit in."""
    of = list(zip(names, map(float, probabilities), thresholds, strict=True))
    reached = [(probability, name) for name, probability, threshold in of if probability >= threshold]
    return join_fitting([name for _, name in sorted(reached, reverse=True)])


def one_label(text: str | None) -> str | None:
    """Return the label of an image that has one; None of a set, and of what is unlabelled."""
    return None if is_set(text) else text


def all_labels(text: str | None) -> list[str] | None:
    """Return the labels of an image, of one or of several; None where it is unlabelled."""
    return None if text is None else split_labels(text)


LISTED: Final = 10


def near_miss(label: str, known: Iterable[str]) -> str:
    """Say which of the labels that there are may have been meant by one that there is not."""
    by_case = {each.casefold(): each for each in sorted(known)}
    similar = get_close_matches(label.casefold(), by_case, n=1)
    if similar:
        return f"Did you mean {by_case[similar[0]]!r}?"
    listed = ", ".join(map(repr, list(by_case.values())[:LISTED]))
    return f"There are {listed}{', ...' if len(by_case) > LISTED else ''}." if listed else "There are no labels yet."
