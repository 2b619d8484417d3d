"""What each route needs of the key that calls it: declared at the route, checked before anything else is done."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from fastapi import Request

from api.http.middleware import SAFE_METHODS
from db.audit import Actor
from db.models import DEFAULT_PROJECT, ApiKey, Job
from tsukiji.errors import DefaultProjectNeeded, KeyBound, ScopeMissing
from tsukiji.scopes import SCOPES, Scope, granted, may

F = TypeVar("F", bound=Callable[..., Any])

ANY: Final = SCOPES
"""Any valid key will do."""


@dataclass(frozen=True)
class Need:
    """What a route needs.

    Attributes:
        scopes: one of these is enough.
        bound: whether keys that are bound to data sets or models will do.
        act: what its changes are called in the audit log; None: they are not in it.
        whole: whether it concerns the whole service: then only keys of the default project will do.
    """

    scopes: tuple[Scope, ...]
    bound: bool = True
    act: str | None = None
    whole: bool = False


def needs(
    *scopes: Scope, bound: bool = True, act: str = "", audited: bool = True, whole: bool = False
) -> Callable[[F], F]:
    """Declare what a route needs; goes below the decorator that makes it one.

    Its act is the function's name by default. Screens of the page name the operation of the API that they do.
    """

    def declare(endpoint: F) -> F:
        endpoint.__dict__["need"] = Need(scopes, bound, (act or endpoint.__name__) if audited else None, whole)
        return endpoint

    return declare


def need_of(endpoint: Callable[..., Any]) -> Need:
    """Return what a route's function needs.

    Raises:
        TypeError: it does not say.
    """
    need = getattr(endpoint, "need", None)
    if not isinstance(need, Need):
        raise TypeError(f"{endpoint.__module__}.{endpoint.__name__} does not declare what it `needs`.")
    return need


def check(request: Request, key: ApiKey) -> None:
    """Check that the key may call the route of this request.

    Raises:
        ScopeMissing, KeyBound, DefaultProjectNeeded
    """
    need = need_of(request.scope["endpoint"])
    require(key, *need.scopes)
    if not need.bound:
        require_unbound(key)
    if need.whole:
        require_default_project(key)


def actor_of(request: Request, key: ApiKey, act: str | None = None, *, safe: bool = True) -> Actor | None:
    """Return who acts by this request, for the audit log; None where it only reads.

    Args:
        request: what they sent.
        key: theirs.
        act: what they do; default: what the route does.
        safe: whether the request changes nothing if its method says so.
    """
    act = act or need_of(request.scope["endpoint"]).act
    if act is None or (safe and request.method in SAFE_METHODS):
        return None
    client = request.client.host if request.client else None
    address = f"{request.method} {request.scope['path']}"
    return Actor(key.id, key.name, act, address, client, getattr(request.state, "request_id", None))


def require(key: ApiKey, *any_of: Scope) -> None:
    """Raises: ScopeMissing."""
    if may(key.scopes, *any_of):
        return
    wanted = " or ".join(f"`{scope}`" for scope in any_of)
    detail = f"This needs the scope {wanted}; the key {key.name!r} has {', '.join(f'`{one}`' for one in key.scopes)}."
    raise ScopeMissing(detail, needs=list(any_of), has=sorted(granted(key.scopes)))


def require_unbound(key: ApiKey) -> None:
    """Raises: KeyBound."""
    if key.datasets or key.models:
        raise KeyBound(f"The key {key.name!r} is bound to {', '.join([*key.datasets, *key.models])}.")


def require_default_project(key: ApiKey) -> None:
    """Raises: DefaultProjectNeeded."""
    if key.project_id != DEFAULT_PROJECT:
        raise DefaultProjectNeeded(f"The key {key.name!r} is of the project {key.project.name!r}.")


def require_folders(key: ApiKey) -> None:
    """Check that the key may name folders that the service may read: they are of no project.

    Raises:
        KeyBound, DefaultProjectNeeded
    """
    require_unbound(key)
    require_default_project(key)


def require_own(key: ApiKey, job: Job) -> None:
    """Check that the key may stop a job or delete its results: those of other keys need `train`.

    Raises:
        ScopeMissing
    """
    if job.created_by != key.id:
        require(key, "train")
