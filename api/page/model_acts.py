"""What can be done with a model, by forms that need no script."""

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api.http.access import needs
from api.http.errors import validated
from api.http.idempotency import Once
from api.page.compare import PRODUCTION
from api.page.forms import Fields
from api.page.screen import ScreenDep
from api.submit.evaluations import start_evaluation
from api.submit.exports import start_export
from db import aliases, registry
from tsukiji.types import EvaluationCreate, ExportCreate, Name

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


class AliasForm(BaseModel):
    alias: Name = PRODUCTION


@router.post("/models/{model}/promote")
@needs("train", bound=False, act="put_alias")
def promote(model: str, screen: ScreenDep, fields: Fields) -> Response:
    """Point an alias to the model: `production`, or the one of the form."""
    name = validated(AliasForm, fields, "body").alias
    with screen.services.database.transaction() as session:
        row = registry.find_model(session, model)
        aliases.put(session, name, row.id, by=screen.visitor.id)
        return RedirectResponse(f"/models/{row.id}", 303)


@router.post("/models/{model}/roll-back")
@needs("train", bound=False, act="roll_back_alias")
def roll_back(model: str, screen: ScreenDep) -> Response:
    """Point `production` to the model that it pointed to before, and show that one."""
    with screen.services.database.transaction() as session:
        if aliases.find(session, PRODUCTION).model_id != registry.find_model(session, model).id:
            return RedirectResponse(f"/models/{model}", 303)  # done in another tab already
        return RedirectResponse(f"/models/{aliases.roll_back(session, PRODUCTION, by=screen.visitor.id).model_id}", 303)


@router.post("/models/{model}/remove-alias")
@needs("train", bound=False, act="delete_alias")
def remove_alias(model: str, screen: ScreenDep, fields: Fields) -> Response:
    with screen.services.database.transaction() as session:
        aliases.remove(session, validated(AliasForm, fields, "body").alias, by=screen.visitor.id)
    return RedirectResponse(f"/models/{model}", 303)


@router.post("/models/{model}/exports")
@needs("train", act="create_export")
def export(model: str, screen: ScreenDep, fields: Fields) -> Response:
    wanted = validated(ExportCreate, fields, "body").format
    start_export(screen.services, screen.visitor, Once(None), model, wanted)
    return RedirectResponse(f"/models/{model}#exports", 303)


@router.post("/models/{model}/evaluate")
@needs("train", act="create_evaluation")
def evaluate(model: str, screen: ScreenDep, fields: Fields) -> Response:
    body = validated(EvaluationCreate, fields | {"model": model}, "body")
    made = start_evaluation(screen.services, screen.visitor, Once(None), body)
    return RedirectResponse(f"/models/{model}?job={made.id}", 303)


@router.post("/models/{model}/delete")
@needs("train", act="delete_model")
def delete(model: str, screen: ScreenDep) -> Response:
    """Delete a model; refused while an alias points to it."""
    with screen.services.database.transaction() as session:
        row = registry.find_model(session, model)
        dataset_id = row.dataset_id
        registry.remove_model(session, row.id)
    return RedirectResponse(f"/datasets/{dataset_id}/evaluate" if dataset_id else "/", 303)
