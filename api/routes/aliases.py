"""Aliases: names like `production` that point to a model, and their history."""

from api.http.access import needs
from api.http.dependencies import Caller, Reading, Transaction
from api.http.paging import PagingDep
from api.http.routing import Router
from api.serialize import records
from api.submit.guarantees import promised
from db import aliases, registry
from tsukiji.types import Alias, AliasMove, AliasPut, BatchOptions, Name, Page

router = Router(prefix="/aliases", tags=["aliases"])


@router.get("")
@needs("read", "predict")
def list_aliases(session: Reading, paging: PagingDep) -> Page[Alias]:
    """List the aliases."""
    return paging.answer(aliases.page(session, paging.window()), records.alias)


@router.put("/{name}")
@needs("train", bound=False)
def put_alias(name: Name, body: AliasPut, session: Transaction, caller: Caller) -> Alias:
    """Point the alias to a model; the change is atomic."""
    model = registry.find_model(session, body.model)
    promised(session, model, BatchOptions.model_validate(body.model_dump()))
    aliases.put(session, name, model.id, by=caller.id)
    return records.alias(aliases.promise(session, name, body.target_error, body.confidence))


@router.get("/{name}")
@needs("read", "predict")
def get_alias(name: str, session: Reading) -> Alias:
    """Get an alias, with the model that it points to."""
    return records.alias(aliases.find(session, name))


@router.delete("/{name}", status_code=204)
@needs("train", bound=False)
def delete_alias(name: str, session: Transaction, caller: Caller) -> None:
    """Delete an alias; the model is kept."""
    aliases.remove(session, name, by=caller.id)


@router.get("/{name}/history")
@needs("read")
def list_alias_moves(name: str, session: Reading, paging: PagingDep) -> Page[AliasMove]:
    """List the alias's history, newest first: when it changed, and by which key."""
    rows = aliases.page_moves(session, name, paging.window())
    existing = aliases.existing(session, {row.model_id for row in rows.data if row.model_id})
    return paging.answer(rows, lambda row: records.alias_move(row, existing))


@router.post("/{name}/rollback")
@needs("train", bound=False)
def roll_back_alias(name: str, session: Transaction, caller: Caller) -> Alias:
    """Point the alias to its previous model; doing it twice restores the current one."""
    return records.alias(aliases.roll_back(session, name, by=caller.id))
