"""Aliases: a name like `production` that points to a model."""

from fastapi import APIRouter

from api import answers
from api.dependencies import Reading, Transaction
from api.paging import PagingDep
from db import registry
from tsukiji.types import Alias, AliasPut, Name, Page

router = APIRouter(prefix="/aliases", tags=["aliases"])


@router.get("")
def list_aliases(session: Reading, paging: PagingDep) -> Page[Alias]:
    return paging.answer(registry.page_aliases(session, paging.window()), answers.alias)


@router.put("/{name}")
def put_alias(name: Name, body: AliasPut, session: Transaction) -> Alias:
    """Point the alias to a model; it moves at once and whole."""
    return answers.alias(registry.put_alias(session, name, registry.find_model(session, body.model).id))


@router.get("/{name}")
def get_alias(name: str, session: Reading) -> Alias:
    return answers.alias(registry.find_alias(session, name))


@router.delete("/{name}", status_code=204)
def delete_alias(name: str, session: Transaction) -> None:
    registry.remove_alias(session, name)
