"""What `tsukiji doctor` finds."""

from pydantic import BaseModel


class Diagnosis(BaseModel):
    """One thing that was looked at."""

    check: str
    ok: bool
    detail: str
    hint: str | None = None
    """The way out."""
    warning: bool = False
    """Well enough, but `hint` should be read."""


def problem(check: str, detail: str, hint: str) -> Diagnosis:
    return Diagnosis(check=check, ok=False, detail=detail, hint=hint)


def warning(check: str, detail: str, hint: str) -> Diagnosis:
    return Diagnosis(check=check, ok=True, detail=detail, hint=hint, warning=True)


def fine(check: str, detail: str) -> Diagnosis:
    return Diagnosis(check=check, ok=True, detail=detail)
