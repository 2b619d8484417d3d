"""Images of a data set: send, list, get, delete."""

from typing import Annotated, Any, Literal, cast
from urllib.parse import quote

from fastapi import Request, Response
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from api.http.access import needs
from api.http.bodies import read_form
from api.http.dependencies import Caller, Reading, ServicesDep, Transaction
from api.http.image_filters import FilterDep
from api.http.paging import PagingDep
from api.http.routing import Router
from api.http.schemas import FILES, TEXT, TEXTS, body, bytes_answer, form
from api.serialize import records
from api.services import Services
from api.submit.image_intake import take_files
from db.curation import datasets, revisions
from db.labels import MULTI
from db.models import Image
from tsukiji import types
from tsukiji.ingest.importers import lay_out
from tsukiji.labels import label_members
from tsukiji.types import Page, Sha256, Split, UploadResult
from tsukiji.vision.decoding.decode import thumbnail

router = Router(tags=["images"])

THUMB_SIDE = 192
MEDIA_TYPES = {"MPO": "image/jpeg"}
CACHED = {"cache-control": "private, max-age=31536000, immutable"}


class HashCheck(types.Request):
    sha256: Annotated[list[Sha256], Field(max_length=10_000)]


class KnownHashes(types.Answer):
    known: list[str]
    labels: dict[str, list[str] | None] = Field({})
    """The labels of each picture that exists; null if unlabelled. Only in a `multi_label` data set."""


class FolderNames(types.Request):
    folders: Annotated[list[Annotated[str, Field(max_length=1000)]], Field(max_length=10_000)]
    """Paths relative to the folder or archive that holds them, with slashes; empty for that itself."""


class FolderMeaning(types.Answer):
    """What a folder says of the pictures directly in it."""

    folder: str
    label: str | None = None
    labels: list[str] | None = None
    split: Split | None = None


class FolderMeanings(types.Answer):
    folders: list[FolderMeaning]
    warnings: list[dict[str, Any]] = Field([])
    """Folders that may be meant otherwise, such as a label `train`."""


SPLIT = {"enum": ["train", "valid", "test"]}
UPLOAD = form(["files"], files=FILES, labels=TEXTS, label=TEXT, groups=TEXTS, group=TEXT, split=SPLIT, crops=TEXTS)
FIELDS = {"label", "labels", "group", "groups", "split", "crops"}


@router.post(
    "/datasets/{dataset}/images",
    status_code=201,
    openapi_extra=body(multipart=UPLOAD),
    responses={200: {"model": UploadResult}},
)
@needs("label")
async def add_images(
    dataset: str, request: Request, services: ServicesDep, caller: Caller, response: Response
) -> UploadResult:
    """Send pictures: `files`, with `labels` in the same order or one `label` for all; also `groups` or `group`.

    Pictures of one group (one animal, one film, one patient) are never on both sides of a split.

    In a `multi_label` data set each of `labels`, or `label`, is a label or a JSON list of them: `["ant", "bee"]`, and
    `[]` for none of the labels.

    Each of `crops` is a JSON list, `[left, upper, right, lower]` in pixels of the upright picture, or empty: the part
    of the picture that is used.

    A picture that the data set already has is a duplicate, so sending again is safe. 200 if none was new.
    """
    async with read_form(request, services.settings.limits.request_files, FIELDS) as sent:
        result = await services.decoding(take_files, services, caller, dataset, sent)
    response.status_code = 201 if result.accepted else 200
    return result


@router.post("/datasets/{dataset}/images/check", response_model_exclude_defaults=True)
@needs("read")
def check_images(dataset: str, body: HashCheck, session: Reading) -> KnownHashes:
    """Check which pictures (by sha256) the data set has, to send only the others."""
    row = datasets.find(session, dataset)
    found = datasets.known(session, row.id, sorted(set(body.sha256)))
    images = datasets.images_of(session, sorted(found.values()))
    labels = {
        image.sha256: label_members(image.label)["labels"]
        for image in images
        if row.kind == MULTI or image.label is None
    }
    return KnownHashes(known=sorted(found), labels=labels)


@router.post("/datasets/{dataset}/images/folders")
@needs("read")
def read_folders(dataset: str, body: FolderNames, session: Reading) -> FolderMeanings:
    """Read which label and split folders mean, as an import reads them; changes nothing."""
    row = datasets.find(session, dataset)
    names = [f"{folder}/1.jpg".lstrip("/") for folder in body.folders]
    layout = lay_out(names, [], types.ImportOptions(), kind=cast("types.Kind", row.kind))
    found = []
    for folder, name in zip(body.folders, names, strict=True):
        placed = layout.place(name)
        found.append(FolderMeaning(folder=folder, split=placed.split, **label_members(placed.label)))
    return FolderMeanings(folders=found, warnings=layout.warnings)


@router.get("/datasets/{dataset}/images")
@needs("read")
def list_images(dataset: str, session: Reading, paging: PagingDep, wanted: FilterDep) -> Page[types.Image]:
    """List the images, oldest first: all, or those that match every parameter."""
    window = paging.window(wanted.model_dump_json())
    dataset_id = datasets.find(session, dataset).id
    return paging.answer(datasets.page_images(session, dataset_id, window, wanted), records.image)


@router.get("/images/{image}")
@needs("read")
def get_image(image: str, session: Reading) -> types.Image:
    """Get an image's record."""
    return records.image(datasets.find_image(session, image))


@router.get("/images/{image}/changes")
@needs("read")
def list_image_changes(image: str, session: Reading, paging: PagingDep) -> Page[types.ImageChange]:
    """List the edits that changed the image, newest first, with values before and after."""
    row = datasets.find_image(session, image)
    return paging.answer(revisions.page_of_image(session, row.id, paging.window(row.id)), records.image_change)


@router.delete("/images/{image}", status_code=204)
@needs("label")
def delete_image(image: str, session: Transaction) -> None:
    """Delete an image; this cannot be undone. Snapshots keep its name and hash."""
    datasets.remove_image(session, datasets.find_image(session, image).id)


@router.get("/images/{image}/content", response_class=Response, responses=bytes_answer("image/*", "image/webp"))
@needs("read")
async def get_content(
    image: str, request: Request, services: ServicesDep, variant: Literal["original", "thumb"] = "original"
) -> Response:
    """Download the picture: the original file, or a small WebP thumbnail."""
    row, kept = await run_in_threadpool(find_row, services, image, variant)
    tag = f'"{row.sha256}"' if variant == "original" else f'"{row.sha256}-{THUMB_SIDE}"'
    headers = CACHED | {"etag": tag}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if variant == "thumb":
        small = kept or await services.decoding(draw_thumbnail, services, row.sha256)
        return Response(small, media_type="image/webp", headers=headers | {"content-disposition": "inline"})
    headers |= {"content-length": str(row.bytes), "content-disposition": attachment(row.name)}
    media_type = MEDIA_TYPES.get(row.format, f"image/{row.format.lower()}")
    return StreamingResponse(services.store.stream(row.sha256), media_type=media_type, headers=headers)


def find_row(services: Services, image: str, variant: str) -> tuple[Image, bytes | None]:
    """Return the image, and its thumbnail if that is wanted and was drawn before."""
    with services.database.reading() as session:
        row = datasets.find_image(session, image)
    return row, services.thumbnails.read(row.sha256, THUMB_SIDE) if variant == "thumb" else None


def draw_thumbnail(services: Services, sha256: str) -> bytes:
    small = thumbnail(services.store.read(sha256), THUMB_SIDE, services.decode_limits)
    services.thumbnails.write(sha256, THUMB_SIDE, small)
    return small


def attachment(name: str) -> str:
    """Return Content-Disposition for a file to be saved (RFC 6266)."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    return f"attachment; filename*=UTF-8''{quote(last, safe='')}"
