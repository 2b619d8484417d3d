"""API keys, and links that sign a browser in without one."""

from typing import Annotated

from fastapi import Query

from api.http.access import ANY, needs
from api.http.dependencies import Caller, Reading, ServicesDep, Transaction
from api.http.paging import PagingDep
from api.http.routing import Router
from api.serialize import api_keys
from api.submit.keys import create_link, revoke
from db import keys
from tsukiji.kernel.browser import sign_in_path
from tsukiji.types import Key, KeyCreate, KeyCreated, KeyRotate, Page, SignInLink, SignInLinkCreate

router = Router(tags=["keys"])


@router.get("/keys")
@needs("admin")
def list_keys(session: Reading, paging: PagingDep, caller: Caller) -> Page[Key]:
    """List the keys, newest first, without their secrets, which are not stored; revoked ones too."""
    return paging.answer(keys.page(session, paging.window()), lambda row: api_keys.key(row, caller))


@router.post("/keys", status_code=201)
@needs("admin")
def create_key(body: KeyCreate, session: Transaction, caller: Caller) -> KeyCreated:
    """Create a key; its secret, `key`, is shown this once."""
    row, secret = keys.issue(session, body, by=caller.id)
    return api_keys.created_key(row, caller, secret)


@router.get("/keys/self")
@needs(*ANY)
async def get_own_key(caller: Caller) -> Key:
    """Get the key that sends this request: what it may do and see."""
    return api_keys.key(caller, caller)


@router.post("/keys/{key}/rotate")
@needs("admin")
def rotate_key(key: str, body: KeyRotate, session: Transaction, caller: Caller) -> KeyCreated:
    """Give a key another secret, shown this once; the present one works until `old_expires_at`."""
    row, secret = keys.rotate(session, key, body.overlap_hours)
    return api_keys.created_key(row, caller, secret)


@router.delete("/keys/{key}", status_code=204)
@needs("admin")
def revoke_key(
    key: str,
    session: Transaction,
    caller: Caller,
    own: Annotated[bool, Query(description="`true`: even if it is the key that sends this request.")] = False,
    created: Annotated[bool, Query(description="`true`: also the keys that were created with it, and so on.")] = False,
) -> None:
    """Revoke a key at once, and end the sessions of the page that it opened. The last key that may `admin` cannot be
    revoked.
    """
    revoke(session, key, caller, own=own, created=created)


@router.post("/sign-in-links", status_code=201)
@needs(*ANY)
def create_sign_in_link(
    services: ServicesDep, session: Transaction, caller: Caller, body: SignInLinkCreate | None = None
) -> SignInLink:
    """Create a link that signs one browser in to the page, with the calling key; it works once, for some minutes.

    An administrator may name another key: the person who opens the link may do what that key may.
    """
    key = body.key if body else None
    token, expires_at = create_link(session, caller, key, services.settings.api.sign_in_link_minutes)
    return SignInLink(path=sign_in_path(token), expires_at=expires_at)
