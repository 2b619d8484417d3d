"""Text that spreadsheets open without harm, and back."""

import re
from typing import Any, Final

SEPARATORS: Final = r"\n\r\v\f\x1c-\x1e\x85\u2028\u2029\t,;|"
"""What ends a cell, by the settings of whoever opens the file: the characters of tables, and of lines."""
SIGNS: Final = r"=+\-@\uff1d\uff0b\uff0d\uff20"
"""What a formula begins with; full-width signs too, which some languages' spreadsheets take for the others."""
RUN: Final = rf"[\s\"']*[{SIGNS}]"
FORMULA: Final = re.compile(rf"(^|[{SEPARATORS}])(?={RUN})|^(?='*[\t\r\n])")
QUOTED: Final = re.compile(rf"(^|[{SEPARATORS}])'(?={RUN})|^'(?='*[\t\r\n])")


def harmless(value: Any) -> Any:
    """Put a quote before whatever a spreadsheet would run as a formula (OWASP: CSV injection).

    That is the beginning of a text, and what follows a separator or the end of a line in it: the quotes of CSV hold a
    cell together only for readers who expect the separator that it was written with. Where such quotes are already,
    one more is put, so that `plain` gives back whatever was written.
    """
    return FORMULA.sub(r"\1'", value) if isinstance(value, str) else value


def plain(text: str) -> str:
    """Take away the quotes that `harmless` put into text."""
    return QUOTED.sub(r"\1", text)
