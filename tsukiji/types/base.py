"""Types that all requests and responses share: names, pages, problems."""

import codecs
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Generic, Literal, TypeVar, Union, get_args, get_origin

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator

from tsukiji.labels import clean_label, join_labels, split_labels

T = TypeVar("T")


def check_set(labels: list[str]) -> list[str]:
    """Return them sorted, each once.

    Raises:
        ValueError: they are too long together.
    """
    return split_labels(join_labels(labels))


Label = Annotated[str, Field(min_length=1, max_length=200, examples=["tuna"])]
NewLabel = Annotated[Label, AfterValidator(clean_label)]
"""One that images are to get: trimmed, in Unicode form NFC, without control characters."""
NewLabels = Annotated[list[NewLabel], AfterValidator(check_set)]
"""All labels of an image of a `multi_label` data set; empty: it shows none of the labels."""


CODE_PAGES: Final = re.compile(
    r"utf-8|cp\d+|gbk|gb2312|gb18030|hz|big5(?:hkscs)?|shift_jis\w*|euc_(?:jp|jis|kr)\w*|johab|koi8-[rtu]|iso8859-\d+"
    r"|mac-\w+|tis-620|kz1048|ptcp154"
)
"""Those of Python's encodings that names of files were ever written in."""


def check_encoding(name: str) -> str:
    """Return a code page by Python's name for it.

    Raises:
        ValueError: there is none of that name.
    """
    with suppress(LookupError, ValueError):
        found: str = codecs.lookup(name).name
        if CODE_PAGES.fullmatch(found):
            return found
    raise ValueError("not a known encoding, such as cp932, gbk, big5, cp949, cp866, cp1251, cp1252 or cp437")


Encoding = Annotated[str, Field(min_length=1, max_length=40, examples=["cp932"]), AfterValidator(check_encoding)]
"""Of names in an archive that keeps them as bytes."""
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^/\x00-\x1f]+$", examples=["sushi"])]
Url = Annotated[str, Field(max_length=2000, pattern=r"^(file|s3)://", examples=["file:///photos/2026"])]
"""Taken literally, without percent-encoding."""
Split = Literal["train", "valid", "test"]
Kind = Literal["single_label", "multi_label"]
"""Has an image one label, or any number of them?"""
Review = Literal["pending", "accepted", "rejected"]
"""Of an image that came by a corrected prediction; only accepted ones are learnt from."""
INT64: Final = 2**63


Whole = Annotated[int, Field(ge=0, lt=INT64)]
"""A number of things, or a place among them: whatever is counted fits into 64 bits, as it must in both databases."""


def is_int64(number: int) -> bool:
    return -INT64 <= number < INT64


def check_moment(value: Any) -> Any:
    """Raise ValueError for a number, which pydantic would read as seconds since 1970."""
    try:
        float(value)
    except (TypeError, ValueError):
        return value
    raise ValueError("send a time such as 2026-11-30T12:00:00Z")


Moment = Annotated[datetime, BeforeValidator(check_moment)]


def check_number(value: Any) -> Any:
    """Raise ValueError for true, false and text, which pydantic would convert. `Request` does it for whole members;
    this is for numbers inside lists and objects.
    """
    if isinstance(value, bool | str):
        raise ValueError("send a number, not text, true or false")  # noqa: TRY004 - pydantic expects it
    return value


Edge = Annotated[Whole, BeforeValidator(check_number)]


def check_box(box: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """Raise ValueError if nothing is in it."""
    left, upper, right, lower = box
    if left >= right or upper >= lower:
        raise ValueError("the box is empty: left is less than right, upper less than lower")
    return box


Box = Annotated[tuple[Edge, Edge, Edge, Edge], AfterValidator(check_box)]
"""Left, upper, right, lower, in pixels of the upright picture at full resolution."""
Metadata = Annotated[
    dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]], Field(max_length=16)
]


LINE_CHARACTERS: Final = 160
LISTED: Final = 3


class Plain(str):
    """Text that a repr shows without quotes."""

    __slots__ = ()
    __repr__ = str.__str__


def shorten(value: Any) -> Any:
    """Return what a repr of one line shows of a value."""
    match value:
        case str() if len(value) > 60:
            return f"{value[:59]}…"
        case float():
            return Plain(f"{value:.4g}")
        case datetime():
            return Plain(f"{value:%Y-%m-%d %H:%M}")
        case [*items] if items and all(isinstance(item, str) for item in items):
            rest = [Plain(f"… {len(items)} in all")] if len(items) > LISTED else []
            return [*map(shorten, items[:LISTED]), *rest]
        case [first, *rest] if isinstance(first, (BaseModel, list, dict)):
            return Plain(f"[{len(rest) + 1} × {type(first).__name__}]")
        case {}:
            return Plain(f"{{{len(value)} entries}}")
    return value


class Answer(BaseModel):
    """A response. Its repr is one line; `model_dump()` has everything."""

    model_config = ConfigDict(extra="allow")

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Yield the fields that say something, as far as they fit into a line."""
        room = LINE_CHARACTERS - len(type(self).__name__)
        for name, value in self._told():
            shown = shorten(value)
            room -= len(name) + len(repr(shown)) + 3
            if room < 0:
                yield None, Plain("…")
                return
            yield name, shown

    def _told(self) -> Iterator[tuple[str, Any]]:
        for name, value in self:
            field = type(self).model_fields.get(name)
            if name not in {"object", "links"} and value not in ([], {}, None, "", field and field.default):
                yield name, value


TEXT: Final = {"text": True}
"""Context of a validation whose values are text, as in forms and queries."""
Scalar = bool | int | float | str


class Request(BaseModel):
    """A request. Its values are of the kinds that the schema says, except where all are text: see `TEXT`."""

    model_config = ConfigDict(extra="forbid")

    @field_validator("*", mode="before")
    @classmethod
    def check_kind(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse what pydantic would convert: true and "1" for 1, 1 for true, a number for a time."""
        if isinstance(value, Scalar) and not (info.context or {}).get("text"):
            kinds = kinds_of(cls, info.field_name or "")
            if kinds and not kinds & TAKEN_FOR[type(value)]:
                wanted = " or ".join(sorted(SAID[kind] for kind in kinds))
                raise ValueError(f"send {wanted}, not {SAID[type(value)]}")
        return value


SAID: Final[dict[type, str]] = {
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "text",
    datetime: "a time",
}
TAKEN_FOR: Final[dict[type, set[type]]] = {
    bool: {bool},
    int: {int, float},
    float: {int, float},
    str: {str, datetime},
}
"""The kinds of fields that take a value of each kind."""


@cache
def kinds_of(model: type[Request], name: str) -> set[type]:
    """Return the scalar kinds of a field; none where it takes another kind too, such as a list or a model."""
    kinds = set(_kinds(model.model_fields[name].annotation))
    return kinds - {NoneType} if kinds <= {*SAID, NoneType} else set()


def _kinds(annotation: Any) -> Iterator[type]:
    match get_origin(annotation):
        case None:
            yield annotation if isinstance(annotation, type) else object
        case found if found is Annotated:
            yield from _kinds(get_args(annotation)[0])
        case found if found is Literal:
            yield from map(type, get_args(annotation))
        case found if found in {Union, UnionType}:
            for one in get_args(annotation):
                yield from _kinds(one)
        case _:
            yield object


def check_one(request: Request, *names: str) -> None:
    """Raise ValueError unless exactly one of these members is given."""
    given = [name for name in names if getattr(request, name) is not None]
    if len(given) != 1:
        raise ValueError(f"give exactly one of {', '.join(names)}, not {' and '.join(given) or 'none'}")


class Page(Answer, Generic[T]):
    """One page of a list; `next_cursor` fetches the next, null means the end."""

    object: Literal["list"] = "list"
    data: list[T]
    next_cursor: str | None = None
    has_more: bool = False


class Problem(Answer):
    """An error: RFC 9457 `application/problem+json` over HTTP, the same members inside jobs and items."""

    type: str | None = None
    code: str
    title: str
    detail: str = ""
    hint: str | None = None
    retriable: bool = False
    status: int | None = None
    request_id: str | None = None
    errors: list[dict[str, Any]] | None = None
