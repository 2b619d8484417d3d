"""Models: list, get, delete, download and import packages."""

from fastapi import Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from api.http.access import needs
from api.http.bodies import read_form
from api.http.dependencies import Reading, ServicesDep, Transaction
from api.http.idempotency import OnceDep
from api.http.paging import OfDataset, PagingDep
from api.http.routing import Router
from api.http.schemas import TEXT, body, bytes_answer, form
from api.routes.images import attachment
from api.serialize import records
from api.serialize.drift import batch_drift, distribution
from api.serialize.package_zip import zip_package
from api.services import Services
from api.submit.package_intake import take_package
from db import registry
from db.curation import datasets
from db.jobs import drift
from tsukiji.types import LabelSuspect, Model, ModelDrift, Page

router = Router(prefix="/models", tags=["models"])


@router.get("")
@needs("read", "predict")
def list_models(session: Reading, paging: PagingDep, dataset: OfDataset = None) -> Page[Model]:
    """List the models, newest first."""
    dataset_id = None if dataset is None else datasets.find(session, dataset).id
    rows = registry.page_models(session, paging.window(dataset), dataset_id)
    ids = [row.id for row in rows.data]
    aliases, evaluations = registry.aliases_of(session, ids), registry.own_evaluations(session, ids)
    return paging.answer(rows, lambda row: records.model(row, aliases[row.id], evaluations.get(row.id)))


@router.post(
    "",
    status_code=201,
    response_model=Model,
    openapi_extra=body(multipart=form(["package"], package={"type": "string", "format": "binary"}, name=TEXT)),
)
@needs("train", bound=False)
async def import_model(request: Request, services: ServicesDep, once: OnceDep, response: Response) -> Model:
    """Import a package of another service: a zip as `GET /v1/models/{model}/package` returns it, as `package`.

    `name` is the file's name by default. Each import creates a new model; `imported_from` is the package's id.
    """
    async with read_form(request, 1, {"name"}, "package") as sent:
        made = await services.checking(take_package, services, once, sent)
    response.headers.update({"location": f"/v1/models/{made.id}", **made.headers})
    return await run_in_threadpool(describe, services, made.id)


def describe(services: Services, model_id: str) -> Model:
    with services.database.reading() as session:
        return get_model(model_id, session)


@router.get("/{model}")
@needs("read", "predict")
def get_model(model: str, session: Reading) -> Model:
    """Get a model by id, alias or name (the newest with that name)."""
    row = registry.find_model(session, model)
    aliases, evaluations = registry.aliases_of(session, [row.id]), registry.own_evaluations(session, [row.id])
    return records.model(row, aliases[row.id], evaluations.get(row.id))


@router.delete("/{model}", status_code=204)
@needs("train")
def delete_model(model: str, session: Transaction) -> None:
    """Delete a model with its evaluations. Refused while an alias points to it."""
    registry.remove_model(session, registry.find_model(session, model).id)


@router.get("/{model}/package", response_class=StreamingResponse, responses=bytes_answer("application/zip"))
@needs("read")
def get_package(model: str, services: ServicesDep) -> StreamingResponse:
    """Download the model as a zip: safetensors and JSON, no pickle."""
    with services.database.reading() as session:
        row = registry.find_model(session, model)
        files = registry.model_files(session, row.id)
    headers = {"content-disposition": attachment(f"{row.name}.zip")}
    return StreamingResponse(zip_package(services.store, files), media_type="application/zip", headers=headers)


@router.get("/{model}/drift")
@needs("read")
def get_drift(model: str, session: Reading, paging: PagingDep) -> ModelDrift:
    """Compare a model's batches, newest first, with the pictures that its training held out."""
    row = registry.find_model(session, model)
    held_out = drift.held_out_of(session, row.id)
    rows = drift.page(session, row.id, paging.window(row.id))
    page = paging.answer(rows, lambda each: batch_drift(each, row.label_names, held_out))
    usual = held_out and distribution(held_out.distribution, row.label_names)
    return ModelDrift(**dict(page), model_id=row.id, held_out=usual)


@router.get("/{model}/suspects")
@needs("read")
def list_suspects(model: str, session: Reading, paging: PagingDep) -> Page[LabelSuspect]:
    """List the images of its data set whose labels may be wrong, most suspicious first."""
    row = registry.find_model(session, model)
    return paging.answer(registry.page_suspects(session, row.id, paging.window(row.id)), records.suspect)
