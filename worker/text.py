"""Text from outside as a database can keep it."""

import re
from typing import Any, Final

UNKEPT: Final = re.compile("[\0\ud800-\udfff]")
"""NUL, which PostgreSQL refuses, and halves of characters, which are no UTF-8."""


def kept(value: Any) -> Any:
    """Return what a database can keep of a name, or of all texts in an error."""
    match value:
        case str():
            return UNKEPT.sub("\ufffd", value)
        case dict():
            return {name: kept(one) for name, one in value.items()}
        case list():
            return [kept(one) for one in value]
    return value
