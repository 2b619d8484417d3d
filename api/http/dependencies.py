"""Dependencies of routes: services, sessions, the caller."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer

from api.http.access import actor_of, check
from api.http.middleware import COOKIE
from api.rates import check_rate, headers_of
from api.services import Services
from db import keys, quotas, rates
from db.models import ApiKey
from db.rates import Allowance
from db.session import Database
from db.session import Session as DatabaseSession
from tsukiji.errors import Unauthorized
from tsukiji.kernel.log import identify

bearer = HTTPBearer(
    auto_error=False, scheme_name="API key", description="`tsukiji keys create --name NAME` creates one."
)
cookie = APIKeyCookie(name=COOKIE, auto_error=False, scheme_name="Page", description="Set by signing in at `/`.")
TOUCH_AFTER = timedelta(minutes=1)


async def open_services(request: Request) -> Services:  # async: FastAPI would run it in a thread otherwise
    services: Services = request.app.state.services
    return services


OpenServices = Annotated[Services, Depends(open_services)]
"""For routes without a caller: they see everything."""


def find_caller(
    request: Request,
    services: OpenServices,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)],
    token: Annotated[str | None, Security(cookie)],
) -> ApiKey:
    """Return the key that calls, by header or by the page's cookie, if it may; a header that is sent must be right.

    Raises:
        Unauthorized, RateLimited, ScopeMissing, KeyBound
    """
    with services.database.reading() as session:
        if credentials is not None or "authorization" in request.headers:
            key = keys.verify(session, credentials.credentials) if credentials else None
        else:
            key = keys.signed_in(session, token) if token else None
        pictures = quotas.left(session, quotas.quotas_of(key)) if key else []
    if key is None:
        raise Unauthorized("The API key is missing, malformed, unknown, expired or revoked.")
    identify(key_id=key.id, project_id=key.project_id)
    count_request(request, services, key, pictures)
    note_use(services.database, key)
    check(request, key)
    return key


def count_request(request: Request, services: Services, key: ApiKey, pictures: Sequence[quotas.Left] = ()) -> None:
    """Count the request of a key or project that has a rate, and tell in the answer what is left, also of pictures.

    Raises:
        RateLimited
    """
    own = key.requests_per_minute or services.settings.api.requests_per_minute
    known = (("key", key.id, own), ("project", key.project_id, key.project.requests_per_minute))
    rated = [(whose, owner, rate) for whose, owner, rate in known if rate]
    taken: list[Allowance] = []
    try:
        for whose, owner, rate in rated:
            with services.database.transaction() as session:
                taken.append(rates.take(session, owner, rate, "requests" if whose == "key" else "project-requests"))
            check_rate(whose, taken[-1])
    finally:
        request.state.rate_limit = headers_of([*taken, *map(allowance_of, pictures)])


def allowance_of(left: quotas.Left) -> Allowance:
    """Return what is left of a quota of pictures, for the headers."""
    name = "pictures" if left.quota.whose == "key" else "project-pictures"
    return Allowance(name, left.quota.pictures, quotas.DAY_SECONDS, max(0, left.pictures), left.seconds)


def note_use(database: Database, key: ApiKey) -> None:
    if key.last_used_at is None or datetime.now(UTC) - key.last_used_at > TOUCH_AFTER:
        with database.transaction() as session:
            keys.touch(session, key.id)


Caller = Annotated[ApiKey, Depends(find_caller)]


async def services_of(request: Request, services: OpenServices, caller: Caller) -> Services:
    return services.of_caller(caller, actor_of(request, caller))


ServicesDep = Annotated[Services, Depends(services_of)]
"""The services as the caller's key sees them."""


def reading(services: ServicesDep) -> Iterator[DatabaseSession]:
    with services.database.reading() as session:
        yield session


def transaction(services: ServicesDep) -> Iterator[DatabaseSession]:
    with services.database.transaction() as session:
        yield session


# "function" ends them before the response is sent: it is committed by then, and streaming holds no connection.
Reading = Annotated[DatabaseSession, Depends(reading, scope="function")]
Transaction = Annotated[DatabaseSession, Depends(transaction, scope="function")]
