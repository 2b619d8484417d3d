# Made by `python -m devtools.sync_client` from tsukiji/client/_async: edit that.
"""Records with a reference to their client, so that they have methods."""

from typing import Any, Protocol, Self

from pydantic import BaseModel, PrivateAttr

from tsukiji.client._sync._transport import Transport


class Identified(Protocol):
    @property
    def id(self) -> str: ...


def id_of(thing: str | Identified) -> str:
    """Return the id or name, also of a record."""
    return thing if isinstance(thing, str) else thing.id


class Bound(BaseModel):
    _transport: Transport = PrivateAttr()

    @classmethod
    def bind(cls, transport: Transport, data: Any) -> Self:
        return cls.model_validate(data, context=transport)

    def model_post_init(self, context: Any) -> None:
        self._transport = context

    def _absorb(self, data: Any) -> Self:
        """Copy every field of a newer version of the record."""
        for name, value in type(self).model_validate(data):
            setattr(self, name, value)
        return self


class Resource:
    """One group of the client's methods."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
