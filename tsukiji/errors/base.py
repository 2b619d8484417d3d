"""What all errors have in common."""

from typing import Any, ClassVar


class TsukijiError(Exception):
    """An error with a stable code, a sentence for people and a hint.

    Args:
        detail: what happened, in a sentence.
        hint: what to do about it; the class's own hint by default.
        extra: further members for programs (JSON values).
    """

    code: ClassVar[str] = "internal"
    title: ClassVar[str] = "Internal error"
    hint: str | None = None
    retriable: ClassVar[bool] = False
    outage: ClassVar[bool] = False
    """Is something down that all work needs? Then the work waits for it, and no attempt is counted."""

    def __init__(self, detail: str = "", *, hint: str | None = None, **extra: Any) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.extra = extra
        if hint is not None:
            self.hint = hint

    def to_dict(self) -> dict[str, Any]:
        """Return the error as it appears in a job, an item or a problem document."""
        return {
            "code": self.code,
            "title": self.title,
            "detail": self.detail,
            "hint": self.hint,
            "retriable": self.retriable,
            **self.extra,
        }
