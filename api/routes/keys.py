"""API keys, and links that sign a browser in without one."""

from typing import Annotated

from fastapi import Query

from api.http.dependencies import Caller, Reading, ServicesDep, Transaction
from api.http.paging import PagingDep
from api.http.routing import Router
from api.serialize import api_keys
from api.submit.keys import revoke
from db import keys
from tsukiji.kernel.browser import sign_in_path
from tsukiji.types import Key, KeyCreate, KeyCreated, Page, SignInLink

router = Router(tags=["keys"])


@router.get("/keys")
def list_keys(session: Reading, paging: PagingDep, caller: Caller) -> Page[Key]:
    """List the keys, newest first, without their secrets, which are not stored; revoked ones too."""
    return paging.answer(keys.page(session, paging.window()), lambda row: api_keys.key(row, caller))


@router.post("/keys", status_code=201)
def create_key(body: KeyCreate, session: Transaction, caller: Caller) -> KeyCreated:
    """Create a key; its secret, `key`, is shown this once."""
    row, secret = keys.create(session, body.name, by=caller.id)
    return api_keys.created_key(row, caller, secret)


@router.delete("/keys/{key}", status_code=204)
def revoke_key(
    key: str,
    session: Transaction,
    caller: Caller,
    own: Annotated[bool, Query(description="`true`: even if it is the key that sends this request.")] = False,
    created: Annotated[bool, Query(description="`true`: also the keys that were created with it, and so on.")] = False,
) -> None:
    """Revoke a key at once, and end the sessions of the page that it opened. The last key cannot be revoked."""
    revoke(session, key, caller, own=own, created=created)


@router.post("/sign-in-links", status_code=201)
def create_sign_in_link(services: ServicesDep, session: Transaction, caller: Caller) -> SignInLink:
    """Create a link that signs one browser in to the page, with the calling key; it works once, for some minutes."""
    token, expires_at = keys.create_link(session, caller.id, services.settings.api.sign_in_link_minutes)
    return SignInLink(path=sign_in_path(token), expires_at=expires_at)
