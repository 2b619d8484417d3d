"""Makes text from outside storable in a database."""

import re
from typing import Any, Final

TEXT_CHARACTERS: Final = 1000
UNKEPT: Final = re.compile("[\0\ud800-\udfff]")
"""NUL, which PostgreSQL refuses, and lone surrogates, which are not UTF-8."""


def kept(value: Any) -> Any:
    """Return a name, or all texts in an error, without characters that cannot be stored."""
    match value:
        case str():
            return UNKEPT.sub("\ufffd", shortened(value))
        case dict():
            return {name: kept(one) for name, one in value.items()}
        case list():
            return [kept(one) for one in value]
    return value


def shortened(text: str) -> str:
    """Return the beginning and end of a text that is too long: a name in an archive may have 65,535 characters."""
    half = TEXT_CHARACTERS // 2
    return text if len(text) <= TEXT_CHARACTERS else f"{text[:half]}\N{HORIZONTAL ELLIPSIS}{text[1 - half :]}"
