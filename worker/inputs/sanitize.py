"""Text from outside as a database can keep it."""

import re
from typing import Any, Final

TEXT_CHARACTERS: Final = 1000
UNKEPT: Final = re.compile("[\0\ud800-\udfff]")
"""NUL, which PostgreSQL refuses, and halves of characters, which are no UTF-8."""


def kept(value: Any) -> Any:
    """Return what a database can keep of a name, or of all texts in an error."""
    match value:
        case str():
            return UNKEPT.sub("\ufffd", shortened(value))
        case dict():
            return {name: kept(one) for name, one in value.items()}
        case list():
            return [kept(one) for one in value]
    return value


def shortened(text: str) -> str:
    """Return the beginning and the end of a text that is too long: a name in an archive may have 65,535 characters."""
    half = TEXT_CHARACTERS // 2
    return text if len(text) <= TEXT_CHARACTERS else f"{text[:half]}\N{HORIZONTAL ELLIPSIS}{text[1 - half :]}"
