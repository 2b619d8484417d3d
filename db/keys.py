"""API keys, page sessions and links: shown once, stored hashed. 128 random bits and more need no slow hash."""

import hashlib
import secrets
import string
import zlib
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import BindParameter, ColumnElement, bindparam, delete, func, select, update
from sqlalchemy.orm import Session

from db import audit, projects, registry
from db.clock import now
from db.curation import datasets
from db.models import DEFAULT_PROJECT, PROJECT_OPTION, Alias, ApiKey, PageSession, SignInLink
from db.paging import Rows, Window, fetch
from db.views import view_of
from tsukiji.errors import Invalid, NotFound
from tsukiji.ids import new_id
from tsukiji.scopes import may, sorted_scopes
from tsukiji.types import KeyCreate

BASE62 = string.digits + string.ascii_letters
PREFIX = "tsk_"
CLEARED: Final[dict[str, Any]] = {"old_hash": None, "old_expires_at": None}


def usable() -> tuple[ColumnElement[bool], ...]:
    """Return the conditions of a valid key: neither revoked nor expired."""
    return (ApiKey.revoked_at.is_(None), ApiKey.expires_at.is_(None) | (ApiKey.expires_at > now()))


GIVEN: BindParameter[str] = bindparam("hash")
BY_HASH = select(ApiKey).where(
    (ApiKey.hash == GIVEN) | ((ApiKey.old_hash == GIVEN) & (ApiKey.old_expires_at > now())), *usable()
)
"""Runs with every request, so it is built only once."""


def create(
    session: Session, name: str, scopes: Sequence[str] = ("admin",), by: str | None = None, **columns: Any
) -> tuple[ApiKey, str]:
    """Insert a key; returns the row and the secret, which is not stored."""
    secret = make_secret()
    facts = {"name": name, "prefix": secret[:8], "hash": digest(secret), "scopes": list(scopes), "created_by": by}
    key = ApiKey(id=new_id("key"), **facts, **columns)
    session.add(key)
    session.flush()
    session.refresh(key)
    audit.about(session, key.id)
    return key, secret


def issue(session: Session, body: KeyCreate, by: str | None = None) -> tuple[ApiKey, str]:
    """Insert a key as requested; returns the row and the secret.

    Raises:
        NotFound: there is no such data set or model, or no such project that the session sees.
        Invalid: it would be bound to what another project has.
    """
    days, columns = body.expires_in_days, {}
    if body.project is not None:
        columns["project_id"] = projects.find(session, body.project).id
        if (body.datasets or body.models) and columns["project_id"] != own_project(session):
            raise Invalid("A key of another project is bound by an administrator of that project.")
    return create(
        session,
        body.name,
        sorted_scopes(body.scopes),
        by,
        datasets=[datasets.find(session, name).id for name in body.datasets],
        models=[alias_or_id(session, name) for name in body.models],
        expires_at=None if days is None else now(86400 * days),
        requests_per_minute=body.requests_per_minute,
        pictures_per_day=body.pictures_per_day,
        **columns,
    )


def own_project(session: Session) -> str:
    """Return the project of what the session inserts."""
    return str(session.connection().get_execution_options().get(PROJECT_OPTION, DEFAULT_PROJECT))


def alias_or_id(session: Session, name: str) -> str:
    """Return the alias of this name, else the id of the model: a key that is bound to an alias follows it."""
    model = registry.find_model(session, name)
    is_alias = select(Alias.name).where(Alias.name == name, Alias.model_id == model.id)
    return name if name != model.id and session.scalar(is_alias) else model.id


def rotate(session: Session, id_or_prefix: str, overlap_hours: float) -> tuple[ApiKey, str]:
    """Give a key another secret; the present one works for `overlap_hours` more, and one before that no longer.

    Without an overlap, the page sessions and links of the key end as well.

    Raises:
        NotFound: no valid key has this id or prefix.
    """
    key = find(session, id_or_prefix, valid=True)
    secret = make_secret()
    old = {"old_hash": key.hash, "old_expires_at": now(3600 * overlap_hours)} if overlap_hours else CLEARED
    changed = update(ApiKey).where(ApiKey.id == key.id)
    session.execute(changed.values(hash=digest(secret), prefix=secret[:8], **old))
    if not overlap_hours:
        end_sessions(session, key.id)
    session.refresh(key)
    return key, secret


def make_secret() -> str:
    """Return `tsk_`, 30 random characters (178 bits) and 6 of CRC-32, so that scanners can tell a real leak offline."""
    body = "".join(secrets.choice(BASE62) for _ in range(30))
    return PREFIX + body + checksum(body)


def checksum(body: str) -> str:
    number = zlib.crc32(body.encode())
    return "".join(BASE62[number // 62**place % 62] for place in range(5, -1, -1))


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def verify(session: Session, secret: str) -> ApiKey | None:
    """Return the key that this secret belongs to, unless it is malformed, unknown, expired or revoked."""
    body = secret.removeprefix(PREFIX)
    if not secret.startswith(PREFIX) or checksum(body[:-6]) != body[-6:]:  # not secret, so timing does not matter
        return None
    return session.scalar(BY_HASH, {"hash": digest(secret)})


def valid(session: Session, key_ids: Collection[str]) -> set[str]:
    """Return those of these keys that are still valid."""
    return set(session.scalars(select(ApiKey.id).where(ApiKey.id.in_(key_ids), *usable())))


def any_valid(session: Session) -> bool:
    return session.scalar(select(ApiKey.id).where(*usable()).limit(1)) is not None


def is_as_before(session: Session, key: ApiKey) -> bool:
    """Return whether a key that was read before is still valid, and sees the same."""
    now_found = session.scalar(select(ApiKey).where(ApiKey.id == key.id, *usable()))
    return now_found is not None and view_of(now_found) == view_of(key)


def touch(session: Session, key_id: str) -> None:
    """Note that a key is in use, at most once a minute."""
    stale = ApiKey.last_used_at.is_(None) | (ApiKey.last_used_at < now(-60))
    session.execute(update(ApiKey).where(ApiKey.id == key_id, stale).values(last_used_at=now()))


OF_PROGRAMS: Final = ApiKey.person_id.is_(None)
"""Keys that have a secret; those of people are in `db.people`."""


def all_keys(session: Session) -> list[ApiKey]:
    return list(session.scalars(select(ApiKey).where(OF_PROGRAMS).order_by(ApiKey.id)))


def page(session: Session, window: Window) -> Rows[ApiKey]:
    """Newest first."""
    return fetch(session, select(ApiKey).where(OF_PROGRAMS), ApiKey.id, window, newest=True)


def lock_admins(session: Session, project_id: str) -> set[str]:
    """Return the ids of a project's valid keys that may `admin`, locked: no other transaction revokes one meanwhile."""
    mine = select(ApiKey).where(ApiKey.project_id == project_id, *usable())
    rows = session.scalars(mine.with_for_update(of=ApiKey))
    return {key.id for key in rows if may(key.scopes, "admin")}


def find(session: Session, id_or_prefix: str, *, valid: bool = False) -> ApiKey:
    """Return the key.

    Raises:
        NotFound: no key, or with `valid` no valid one, has this id or prefix.
    """
    named = (ApiKey.id == id_or_prefix) | (ApiKey.prefix == id_or_prefix)
    key = session.scalar(select(ApiKey).where(named, OF_PROGRAMS, *(usable() if valid else ())))
    if key is None:
        raise NotFound(f"There is no {'valid ' if valid else ''}key {id_or_prefix!r}.")
    return key


def lineage(session: Session, key: ApiKey) -> list[ApiKey]:
    """Return the key and all keys created with it, directly or through other keys."""
    found = [key]
    for parent in found:  # grows while iterating
        found += session.scalars(select(ApiKey).where(ApiKey.created_by == parent.id))
    return found


def revoke(session: Session, id_or_prefix: str) -> ApiKey:
    """Revoke a key immediately, with its page sessions and links.

    Raises:
        NotFound: no key has this id or prefix.
    """
    key = find(session, id_or_prefix)
    end(session, key)
    return key


def end(session: Session, key: ApiKey) -> None:
    """Revoke a key of a program or a person immediately, with its page sessions and links."""
    session.execute(
        update(ApiKey).where(ApiKey.id == key.id).values(revoked_at=func.coalesce(ApiKey.revoked_at, now()))
    )
    end_sessions(session, key.id)
    session.refresh(key)


def end_sessions(session: Session, key_id: str) -> None:
    session.execute(delete(PageSession).where(PageSession.key_id == key_id))
    session.execute(delete(SignInLink).where(SignInLink.key_id == key_id))


def sign_in(session: Session, key_id: str, hours: float) -> str:
    """Open a page session of this many hours; returns the cookie's token."""
    token = secrets.token_urlsafe(32)
    session.execute(delete(PageSession).where(PageSession.expires_at < now()))
    session.add(PageSession(hash=digest(token), key_id=key_id, expires_at=now(3600 * hours)))
    return token


def signed_in(session: Session, token: str) -> ApiKey | None:
    """Return the key behind a cookie's token while the session lasts and the key is valid."""
    query = select(ApiKey).join(PageSession, PageSession.key_id == ApiKey.id)
    return session.scalar(query.where(PageSession.hash == digest(token), PageSession.expires_at > now(), *usable()))


def sign_out(session: Session, token: str) -> None:
    session.execute(delete(PageSession).where(PageSession.hash == digest(token)))


def create_link(session: Session, key_id: str, minutes: float) -> tuple[str, datetime]:
    """Create a link that signs one browser in; returns its token and expiry."""
    token = secrets.token_urlsafe(32)
    session.execute(delete(SignInLink).where(SignInLink.expires_at < now()))
    link = SignInLink(hash=digest(token), key_id=key_id, expires_at=now(60 * minutes))
    session.add(link)
    session.flush()
    return token, link.expires_at


def link_works(session: Session, token: str) -> bool:
    """Return whether a link is still valid, without using it."""
    query = select(SignInLink.key_id).where(SignInLink.hash == digest(token), SignInLink.expires_at > now())
    return session.scalar(query) is not None


def use_link(session: Session, token: str) -> str | None:
    """Use a link; returns the id of its key, or None if it was used or has expired."""
    mine = (SignInLink.hash == digest(token), SignInLink.expires_at > now())
    return session.scalar(delete(SignInLink).where(*mine).returning(SignInLink.key_id))


def local_link(session: Session, minutes: float) -> str:
    """Return the token of a link for someone with access to the database: it signs in with the oldest key that may
    `admin` the default project.

    Without one, a key is created and its secret discarded.
    """
    mine = select(ApiKey).where(OF_PROGRAMS, ApiKey.project_id == DEFAULT_PROJECT, *usable())
    valid = session.scalars(mine.order_by(ApiKey.id))
    oldest = next((key.id for key in valid if may(key.scopes, "admin")), None)
    return create_link(session, oldest or create(session, "page")[0].id, minutes)[0]
