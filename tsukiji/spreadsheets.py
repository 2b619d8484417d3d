"""Text that spreadsheets open without harm."""

from typing import Any, Final

FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def harmless(value: Any) -> Any:
    """Put a quote before text that a spreadsheet would run as a formula (OWASP: CSV injection)."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
