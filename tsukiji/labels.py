"""Labels: what a file's place among folders says, and the labels of one picture as one text.

Pure: the client and the service both ask here.
"""

import unicodedata
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import PurePosixPath
from typing import Final, Literal

SPLITS: Final[dict[str, Literal["train", "valid", "test"]]] = {
    "train": "train",
    "valid": "valid",
    "val": "valid",
    "validation": "valid",
    "test": "test",
}
SEPARATOR: Final = "\x1f"
"""Before, between and after the labels of a set; no label can hold it, as `clean_label` sees to."""
MAX_SET_BYTES: Final = 1200
CLUTTER: Final = frozenset({"__macosx", "thumbs.db", "desktop.ini"})


def label_and_split(name: str) -> tuple[str | None, Literal["train", "valid", "test"] | None]:
    """Return the label and the split of a picture from its relative path, both None where the path says nothing.

    The parent folder is the label, as in torchvision's ImageFolder. A folder above it that is named like a split is
    one, at the top or inside the one folder that people wrap around everything (`pets/train/cat/1.jpg`). Labels come
    back in Unicode form NFC, because some systems store folder names decomposed.
    """
    folders = PurePosixPath(unicodedata.normalize("NFC", name)).parts[:-1]
    if not folders:
        return None, None
    split = next((SPLITS[folder.lower()] for folder in folders[:-1][:2] if folder.lower() in SPLITS), None)
    return folders[-1], split


def is_clutter(name: str) -> bool:
    """Return whether a relative path names something that systems leave behind, or a hidden file."""
    return any(part.startswith(".") or part.lower() in CLUTTER for part in PurePosixPath(name).parts)


def clean_label(text: str) -> str:
    """Return a label trimmed and in Unicode form NFC.

    Raises:
        ValueError: it is empty or has control characters.
    """
    label = unicodedata.normalize("NFC", text).strip()
    if not label:
        raise ValueError("a label is not empty")
    if any(unicodedata.category(char) in {"Cc", "Cs"} for char in label):
        raise ValueError("a label has no control characters")
    return label


def join_labels(labels: Iterable[str]) -> str:
    """Return a set of labels as one text, in one order: equal sets are equal texts, as rows and indexes need it.

    Each label stands between separators, so that a text that holds `SEPARATOR + label + SEPARATOR` has that label. The
    empty set, none of the kinds, is one separator; that nothing is known of a picture is None, as everywhere.

    Raises:
        ValueError: they are too long together.
    """
    text = SEPARATOR + "".join(label + SEPARATOR for label in sorted(set(labels)))
    if len(text.encode()) > MAX_SET_BYTES:
        raise ValueError(f"the labels of one image have at most {MAX_SET_BYTES} bytes together")
    return text


def split_labels(text: str) -> list[str]:
    """Return the labels of what `join_labels` made, sorted; of any other text, that text alone."""
    return text.split(SEPARATOR)[1:-1] if text.startswith(SEPARATOR) else [text]


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
    return None if text is None or text.startswith(SEPARATOR) else text


def all_labels(text: str | None) -> list[str] | None:
    """Return the labels of an image, of one or of several; None where it is unlabelled."""
    return None if text is None else split_labels(text)
