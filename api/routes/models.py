"""Models: list, look, delete, fetch the package."""

from fastapi import APIRouter
from starlette.responses import StreamingResponse

from api import answers
from api.dependencies import Reading, ServicesDep, Transaction
from api.packages import zip_package
from api.paging import PagingDep
from api.routes.images import attachment
from api.schemas import bytes_answer
from db import registry
from tsukiji.types import Model, Page

router = APIRouter(prefix="/models", tags=["models"])


@router.get("")
def list_models(session: Reading, paging: PagingDep) -> Page[Model]:
    """List the models, newest first."""
    rows = registry.page_models(session, paging.window())
    ids = [row.id for row in rows.data]
    aliases, evaluations = registry.aliases_of(session, ids), registry.latest_evaluations(session, ids)
    return paging.answer(rows, lambda row: answers.model(row, aliases[row.id], evaluations.get(row.id)))


@router.get("/{model}")
def get_model(model: str, session: Reading) -> Model:
    """Look at a model, by id, alias or name (the newest of that name)."""
    row = registry.find_model(session, model)
    aliases, evaluations = registry.aliases_of(session, [row.id]), registry.latest_evaluations(session, [row.id])
    return answers.model(row, aliases[row.id], evaluations.get(row.id))


@router.delete("/{model}", status_code=204)
def delete_model(model: str, session: Transaction) -> None:
    """Delete a model with its evaluations. Refused while an alias points to it."""
    registry.remove_model(session, registry.find_model(session, model).id)


@router.get("/{model}/package", response_class=StreamingResponse, responses=bytes_answer("application/zip"))
def get_package(model: str, services: ServicesDep) -> StreamingResponse:
    """Fetch the model as a zip: safetensors and JSON, no pickle."""
    with services.database.reading() as session:
        row = registry.find_model(session, model)
        files = registry.model_files(session, row.id)
    headers = {"content-disposition": attachment(f"{row.name}.zip")}
    return StreamingResponse(zip_package(services.store, files), media_type="application/zip", headers=headers)
