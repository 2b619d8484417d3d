"""Edits of images: which kind of act a body is."""

from typing import get_args

from pydantic import BaseModel

from tsukiji import types
from tsukiji.types import ActName

ACT_OF: dict[str, type[types.Act]] = {
    get_args(kind.model_fields["act"].annotation)[0]: kind for kind in get_args(types.Act)
}


class Named(BaseModel):
    """What all acts have; read first, so that what is wrong with one is told of that one alone."""

    act: ActName
