"""Text that spreadsheets open without harm, and back."""

from typing import Any, Final

FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
QUOTE: Final = "'"


def harmless(value: Any) -> Any:
    """Put a quote before text that a spreadsheet would run as a formula (OWASP: CSV injection).

    Text that has such quotes already gets one more, so that `plain` gives back whatever was written.
    """
    return f"{QUOTE}{value}" if isinstance(value, str) and value.lstrip(QUOTE).startswith(FORMULA) else value


def plain(text: str) -> str:
    """Take away the quote that `harmless` put before text."""
    return text[1:] if text.startswith(QUOTE) and text.lstrip(QUOTE).startswith(FORMULA) else text
