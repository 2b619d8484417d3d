"""Searches for similar images."""

from contextlib import ExitStack
from typing import TypedDict, Unpack

from tsukiji import types
from tsukiji.client._async._bound import Identified, id_of
from tsukiji.client._async._transport import Transport
from tsukiji.client._base import path
from tsukiji.client._pictures import Picture, part


class SearchOptions(TypedDict, total=False):
    """What is searched, and by what."""

    limit: int | None
    """Most images to find; default: 12."""
    backbone: types.Backbone | None
    """Whose features are compared; default: as of an analysis."""
    image_size: int | None
    """Input size in pixels; default: 224."""


async def similar_to_picture(
    transport: Transport, picture: Picture, dataset: str | Identified | None, **options: Unpack[SearchOptions]
) -> types.SimilarImages:
    params = {"dataset": None if dataset is None else id_of(dataset), **options}
    with ExitStack() as stack:
        sent = [("files", part(picture, 1, stack))]
        return await transport.fetch(types.SimilarImages, "POST", path("similar"), files=sent, params=params)


async def similar_to(
    transport: Transport,
    place: str,
    dataset: str | Identified | None,
    crop: types.Box | None = None,
    **options: Unpack[SearchOptions],
) -> types.SimilarImages:
    """Search for what is like the picture at a path."""
    params = {"dataset": None if dataset is None else id_of(dataset), **options}
    if crop is not None:
        params["crop"] = str(list(crop))
    return await transport.fetch(types.SimilarImages, "GET", f"{place}/similar", params=params)
