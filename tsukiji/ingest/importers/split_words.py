"""Words for splits: one vocabulary for folders, tables, their cells and archives.

The words are those of Hugging Face Datasets ("Structure your repository", section "Automatic split detection"), by
which `eval` is a test set and `dev` a validation set, and others used by competitions.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from tsukiji.types import Split

WORDS: Final[Mapping[str, Split]] = {
    **dict.fromkeys(("train", "training", "trn", "trainval"), "train"),
    **dict.fromkeys(("valid", "val", "validation", "validate", "crossvalidation"), "valid"),
    **dict.fromkeys(("dev", "devel", "development"), "valid"),
    **dict.fromkeys(("test", "testing", "tst", "testdev"), "test"),
    **dict.fromkeys(("eval", "evaluation", "holdout", "heldout"), "test"),
}
FILLERS: Final = (
    "(?:sub)?sets?|splits?|data(?:sets?)?|images?|imgs?|pictures?|pics?|photos?|files?|folder|dir|samples?|batch|part|fold"
    "|stage|stg|final|all|label(?:l?ed|s)?|annotations?|meta(?:data)?|list|index|instances"
)
"""Words that may accompany them without further meaning: `training_set`, `test_images`, `train_labels.csv`."""
TOKEN: Final = re.compile(r"[^\W\d_]+")
HUMP: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
FILLER: Final = re.compile(FILLERS)
GLUED: Final = re.compile(f"({'|'.join(sorted(WORDS, key=len, reverse=True))})(?:{FILLERS})")
LONGEST: Final = 3
"""Most words in the name of a split: `test-dev`, `cross validation set`."""


@dataclass(frozen=True, slots=True)
class SplitName:
    """A name with a word for a split.

    Attributes:
        split: that it names.
        rest: the other words. Without any it can only mean the split (`train`, `Test_Set 1`); otherwise it may be a
            split (`pets_train`), or a kind (`bullet train`).
    """

    split: Split
    rest: tuple[str, ...] = ()


def split_name(name: str) -> SplitName | None:
    """Return the split in the name of a folder or table, or in a cell; None if there is none, or several.

    Case, numbers and separators are ignored.
    """
    words = list(_words(name))
    for length in range(LONGEST, 0, -1):
        starts = [at for at in range(len(words) - length + 1) if "".join(words[at : at + length]) in WORDS]
        if len(starts) > 1:
            return None
        if starts:
            at = starts[0]
            return SplitName(WORDS["".join(words[at : at + length])], (*words[:at], *words[at + length :]))
    return None


def plain_split(name: str) -> Split | None:
    """Return the split that a name means if it has no other words."""
    found = split_name(name)
    return found.split if found and not found.rest else None


def _words(name: str) -> Iterator[str]:
    """Yield the words of a name without numbers and fillers."""
    for token in TOKEN.findall(HUMP.sub(" ", unicodedata.normalize("NFC", name))):
        word = token.casefold()
        if glued := GLUED.fullmatch(word):
            word = glued[1]
        if not FILLER.fullmatch(word):
            yield word
