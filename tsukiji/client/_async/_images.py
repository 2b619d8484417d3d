"""Single pictures of a data set."""

from typing import Literal, Unpack

from tsukiji import types
from tsukiji.client._async._bound import Identified, Resource, id_of
from tsukiji.client._async._curation import Chosen
from tsukiji.client._async._pages import AsyncPaged
from tsukiji.client._async._similar import SearchOptions, similar_to
from tsukiji.client._base import path


class Images(Resource):
    async def get(self, image: str) -> types.Image:
        return await self._transport.fetch(types.Image, "GET", path("images", image))

    def changes(self, image: str | Identified, *, page_size: int | None = None) -> AsyncPaged[types.ImageChange]:
        """List the edits that changed the picture, newest first."""
        place = path("images", id_of(image), "changes")
        return self._transport.paged(place, types.ImageChange.model_validate, limit=page_size)

    async def delete(self, image: str | Identified) -> None:
        """Delete a picture permanently; `Dataset.exclude` keeps it."""
        await self._transport.request("DELETE", path("images", id_of(image)))

    async def content(self, image: str | Identified, variant: Literal["original", "thumb"] = "original") -> bytes:
        place = path("images", id_of(image), "content")
        response = await self._transport.request("GET", place, params={"variant": variant})
        return response.content

    async def similar(
        self,
        image: str | Identified,
        *,
        dataset: str | Identified | None = None,
        crop: types.Box | None = None,
        **options: Unpack[SearchOptions],
    ) -> types.SimilarImages:
        """Find the images that look most like one, or like a part of it.

        Args:
            image: its id, or the image.
            dataset: the one to search; default: all.
            crop: left, upper, right, lower in pixels of the whole picture; default: the part in use.
            options: see `SearchOptions`.

        Raises:
            ConflictError: no features are kept; `dataset.analyse()` keeps them.
        """
        return await similar_to(self._transport, path("images", id_of(image)), dataset, crop, **options)

    def list(
        self, dataset: str | Identified, *, page_size: int | None = None, **wanted: Unpack[Chosen]
    ) -> AsyncPaged[types.Image]:
        """List the images of a data set, optionally filtered."""
        place = path("datasets", id_of(dataset), "images")
        return self._transport.paged(place, types.Image.model_validate, limit=page_size, **wanted)
