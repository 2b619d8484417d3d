"""Exports: a model in another format, made by a worker, then fetched as a file."""

from starlette.responses import Response, StreamingResponse

from api.http.access import needs
from api.http.dependencies import Caller, Reading, ServicesDep
from api.http.idempotency import OnceDep
from api.http.job_responses import respond, see
from api.http.routing import Router
from api.http.schemas import bytes_answer
from api.routes.images import attachment
from api.serialize import records
from api.submit.exports import start_export
from db import registry
from db.jobs import exports
from tsukiji.jobs import TERMINAL
from tsukiji.types import ExportCreate, ExportFormat, Job, ModelExport, Page

router = Router(prefix="/models/{model}/exports", tags=["models"])

FILE_NAMES: dict[ExportFormat, str] = {"onnx": "{name}.onnx", "fastai": "{name}.pkl"}
MEDIA_TYPE = "application/octet-stream"


@router.post(
    "", status_code=202, response_model=Job, responses={200: {"model": Job, "description": "It already exists"}}
)
@needs("train")
def create_export(model: str, body: ExportCreate, services: ServicesDep, caller: Caller, once: OnceDep) -> Response:
    """Export the model to another format; asking again returns the same job."""
    made = start_export(services, caller, once, model, body.format)
    seen = see(services, made.id)
    return respond(services, seen, 200 if seen.job.status in TERMINAL else 202, made.headers)


@router.get("")
@needs("read")
def list_exports(model: str, session: Reading) -> Page[ModelExport]:
    """List the exports, with what was measured for each."""
    rows = exports.exports_of(session, registry.find_model(session, model).id)
    return Page(data=[records.export(row) for row in rows])


@router.get("/{format}", response_class=StreamingResponse, responses=bytes_answer(MEDIA_TYPE))
@needs("read")
def get_export(model: str, format: ExportFormat, services: ServicesDep) -> StreamingResponse:  # noqa: A002
    """Download the file. `fastai` is a pickle, which runs code when opened: open it only if you trust this service."""
    with services.database.reading() as session:
        row = registry.find_model(session, model)
        export = exports.find(session, row.id, format)
    name = FILE_NAMES[format].format(name=row.name)
    headers = {
        "content-disposition": attachment(name),
        "content-length": str(export.bytes),
        "etag": f'"{export.sha256}"',
    }
    return StreamingResponse(services.store.stream(export.sha256), media_type=MEDIA_TYPE, headers=headers)
