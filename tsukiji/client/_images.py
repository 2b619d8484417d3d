"""Single pictures of a data set."""

from typing import Literal

from tsukiji import types
from tsukiji.client._base import path
from tsukiji.client._bound import Identified, Resource, id_of
from tsukiji.client._pages import Paged


class Images(Resource):
    def get(self, image: str) -> types.Image:
        return types.Image.model_validate(self._transport.request("GET", path("images", image)).json())

    def delete(self, image: str | Identified) -> None:
        self._transport.request("DELETE", path("images", id_of(image)))

    def content(self, image: str | Identified, variant: Literal["original", "thumb"] = "original") -> bytes:
        return self._transport.request(
            "GET", path("images", id_of(image), "content"), params={"variant": variant}
        ).content

    def list(
        self,
        dataset: str | Identified,
        *,
        label: str | None = None,
        split: types.Split | None = None,
        page_size: int | None = None,
    ) -> Paged[types.Image]:
        return self._transport.paged(
            path("datasets", id_of(dataset), "images"),
            types.Image.model_validate,
            label=label,
            split=split,
            limit=page_size,
        )
