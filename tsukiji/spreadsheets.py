"""Protects text against formula injection in spreadsheets, and reverses that."""

import re
from typing import Any, Final

SEPARATORS: Final = r"\n\r\v\f\x1c-\x1e\x85\u2028\u2029\t,;|"
"""Characters that end a cell under some settings: separators and line breaks."""
SIGNS: Final = r"=+\-@\uff1d\uff0b\uff0d\uff20"
"""Beginnings of formulas; some languages' spreadsheets accept full-width signs too."""
RUN: Final = rf"[\s\"']*[{SIGNS}]"
FORMULA: Final = re.compile(rf"(^|[{SEPARATORS}])(?={RUN})|^(?='*[\t\r\n])")
QUOTED: Final = re.compile(rf"(^|[{SEPARATORS}])'(?={RUN})|^'(?='*[\t\r\n])")


def harmless(value: Any) -> Any:
    """Put a quote before everything that a spreadsheet would run as a formula (OWASP: CSV injection).

    That is the beginning of a text, and what follows a separator or line break in it: CSV quotes protect only with the
    separator that the file was written with. Existing quotes there get one more, so that `plain` restores the original.
    """
    return FORMULA.sub(r"\1'", value) if isinstance(value, str) else value


def plain(text: str) -> str:
    """Remove the quotes that `harmless` added."""
    return QUOTED.sub(r"\1", text)
