"""Edits of images: the type of each act, by its name."""

from typing import get_args

from pydantic import BaseModel

from tsukiji import types
from tsukiji.types import ActName

ACT_OF: dict[str, type[types.Act]] = {
    get_args(kind.model_fields["act"].annotation)[0]: kind for kind in get_args(types.Act)
}


class Named(BaseModel):
    """The member that all acts have; read first, so that errors are those of this kind of act alone."""

    act: ActName
