"""Images that look most like an image, a picture of a batch, or one that is sent."""

from typing import Annotated, Final, Literal

from fastapi import Depends, Query, Request
from pydantic import BaseModel, Json
from starlette.concurrency import run_in_threadpool

from api.http.access import needs
from api.http.bodies import media_type, read_file, read_form
from api.http.dependencies import ServicesDep
from api.http.errors import validated
from api.http.routing import Router
from api.http.schemas import BINARY, FILES, body, form
from api.services import Services
from api.submit import dataset_maps, similar
from api.submit.similar import Where
from tsukiji.types import Backbone
from tsukiji.types.base import Box, Whole
from tsukiji.types.similar import DatasetMap, SimilarImages

router = Router(tags=["images"])

MOST: Final = 200
MOST_POINTS: Final = 50_000


class CropQuery(BaseModel):
    crop: Json[Box] | None = None


def where(
    dataset: Annotated[
        str | None, Query(max_length=200, description="The data set to search; by default all that the key sees.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=MOST, description="Most images to find.")] = 12,
    backbone: Annotated[
        Literal[Backbone, "auto"], Query(description="Whose features are compared, as of an analysis.")
    ] = "auto",
    image_size: Annotated[int, Query(ge=32, le=1024, multiple_of=16, description="Input size in pixels.")] = 224,
) -> Where:
    return Where(dataset, backbone, image_size, limit)


WhereDep = Annotated[Where, Depends(where)]
CropDep = Annotated[
    str | None,
    Query(
        max_length=100,
        description="`[left, upper, right, lower]` in pixels: the part of the picture that is meant.",
        examples=["[0, 0, 100, 80]"],
    ),
]


@router.get("/images/{image}/similar")
@needs("read")
async def list_similar_to_image(
    image: str, services: ServicesDep, where: WhereDep, crop: CropDep = None
) -> SimilarImages:
    """Find the images that look most like an image, or like a part of it.

    Features that an analysis, suggestions or a training of the preset `quick` kept are compared; images that were not
    looked at are counted in `missing`.
    """
    box = validated(CropQuery, {"crop": crop}, "query").crop
    return await similar.search(services, *await run_in_threadpool(similar.of_image, services, image, box, where))


@router.get("/batches/{batch}/results/{seq}/similar")
@needs("read")
async def list_similar_to_result(batch: str, seq: Whole, services: ServicesDep, where: WhereDep) -> SimilarImages:
    """Find the images that look most like a picture of a batch, until its results are deleted."""
    return await similar.search(services, *await run_in_threadpool(similar.of_result, services, batch, seq, where))


@router.post("/similar", openapi_extra=body(multipart=form(["files"], files=FILES), image=BINARY))
@needs("read", audited=False)
async def list_similar_to_picture(request: Request, services: ServicesDep, where: WhereDep) -> SimilarImages:
    """Find the images that look most like a picture: multipart `files`, or the picture as the raw body.

    The picture is not kept. A low `known_score` says that nothing searched is like it.
    """
    data = await receive(request, services)
    return await similar.search(services, *await run_in_threadpool(similar.of_picture, services, where), [data])


@router.get("/datasets/{dataset}/map", tags=["datasets"])
@needs("read")
async def get_dataset_map(
    dataset: str,
    services: ServicesDep,
    limit: Annotated[int, Query(ge=1, le=MOST_POINTS, description="Most images in it, chosen evenly.")] = 5000,
    backbone: Annotated[
        Literal[Backbone, "auto"], Query(description="Whose features are used, as of an analysis.")
    ] = "auto",
    image_size: Annotated[int, Query(ge=32, le=1024, multiple_of=16, description="Input size in pixels.")] = 224,
) -> DatasetMap:
    """Place the images of a data set in a plane, by the principal components of their kept features."""
    return await dataset_maps.draw(services, Where(dataset, backbone, image_size, limit))


async def receive(request: Request, services: Services) -> bytes:
    """Return the picture's bytes; those over the limit are refused before they are read."""
    if media_type(request) != "multipart/form-data":
        return await request.body()
    async with read_form(request, 1, set()) as sent:
        return await run_in_threadpool(read_file, sent.files[0], services.settings.limits.image_bytes)
