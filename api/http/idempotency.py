"""The `Idempotency-Key` header: a repeated request takes effect once."""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Header, Request

from api.http.dependencies import Caller
from api.services import Services
from db import audit
from db.jobs import idempotency
from db.session import RowExists, Session
from tsukiji.errors import Invalid

WELL_FORMED = re.compile(r'"?([\x21\x23-\x7e]{1,255})"?')


@dataclass(frozen=True)
class Made:
    """What a request created, now or when it was first sent."""

    id: str
    replayed: bool

    @property
    def headers(self) -> dict[str, str]:
        return {"idempotency-replayed": "true"} if self.replayed else {}


@dataclass(frozen=True)
class Once:
    """The scope in which a request takes effect once; without an `Idempotency-Key` it takes effect each time."""

    scope: str | None

    def found(self, services: Services, fingerprint: str) -> Made | None:
        """Return what this request created before, if it did, to save preparing it again."""
        with services.database.reading() as session:
            made = idempotency.replayed(session, self.scope, fingerprint)
        return None if made is None else Made(made, replayed=True)

    def is_known(self, session: Session) -> bool:
        """Return whether the request may have been sent before; then it is answered by what it created."""
        return idempotency.is_known(session, self.scope)

    def make(self, services: Services, fingerprint: str, make: Callable[[Session], str]) -> Made:
        """Create it in one transaction.

        Of two concurrent requests one fails on the other's row, and looks again, once.
        """
        try:
            return self._try(services, fingerprint, make)
        except RowExists:
            return self._try(services, fingerprint, make)

    def _try(self, services: Services, fingerprint: str, make: Callable[[Session], str]) -> Made:
        with services.database.transaction() as session:
            made = Made(*idempotency.once(session, self.scope, fingerprint, lambda: make(session)))
            audit.about(session, made.id)
            return made


async def once(
    request: Request,
    caller: Caller,
    idempotency_key: Annotated[
        str | None,
        Header(
            description="Opaque, 1 to 255 visible ASCII characters, with or without quotes around it; kept for 24 "
            "hours for this key, method and address. The same request again returns the same result, with "
            "`Idempotency-Replayed: true`; another payload under the same key is refused: `idempotency_key_reused`.",
            json_schema_extra={"pattern": f"^{WELL_FORMED.pattern}$"},
        ),
    ] = None,
) -> Once:
    if idempotency_key is None:
        return Once(None)
    match = WELL_FORMED.fullmatch(idempotency_key)
    if match is None:
        line = {"parameter": "Idempotency-Key", "code": "invalid", "detail": "1 to 255 visible ASCII characters"}
        raise Invalid("The Idempotency-Key is malformed.", errors=[line])
    return Once(idempotency.scope_of(caller.id, request.method, request.scope["path"], match[1]))


OnceDep = Annotated[Once, Depends(once)]


def fingerprint_of(value: Any) -> str:
    """Hash the content of a request (JSON values)."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
