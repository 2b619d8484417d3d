"""Crop boxes as short text, `left,upper,right,lower`: the same in both databases, and comparable within them."""

from sqlalchemy import String
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from tsukiji.types import Box


class BoxText(TypeDecorator[Box]):
    impl = String(50)
    cache_ok = True

    def process_bind_param(self, value: Box | None, dialect: Dialect) -> str | None:
        return None if value is None else write_box(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Box | None:
        return None if value is None else read_box(value)


def write_box(box: Box) -> str:
    return ",".join(str(edge) for edge in box)


def read_box(text: str) -> Box:
    left, upper, right, lower = (int(edge) for edge in text.split(","))
    return left, upper, right, lower
