"""Scopes: what a key may do; roles: the scopes of people. Routes say which one they need (`api.http.access`)."""

from collections.abc import Collection, Iterable
from typing import Final, Literal, get_args

Scope = Literal["predict", "read", "label", "train", "admin"]

SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
Role = Literal["viewer", "labeller", "editor", "admin"]

ROLES: Final[tuple[Role, ...]] = get_args(Role)
SCOPES_OF: Final[dict[Role, tuple[Scope, ...]]] = {
    "viewer": ("predict", "read"),
    "labeller": ("predict", "label"),
    "editor": ("predict", "label", "train"),
    "admin": ("admin",),
}
MEANING: Final[dict[Scope, str]] = {
    "predict": "classify pictures, singly or in batches, and read the results of what this key started",
    "read": "see data sets, models, jobs and results",
    "label": "also add, label and delete images, import, analyse and take snapshots",
    "train": "also train, evaluate, export, promote, and delete data sets and models",
    "admin": "everything, also keys and the audit log",
}
INCLUDED: Final[dict[Scope, frozenset[Scope]]] = {
    "label": frozenset({"read"}),
    "train": frozenset({"read"}),
    "admin": frozenset(SCOPES),
}


def granted(scopes: Iterable[str]) -> frozenset[str]:
    """Return these scopes with those that they include."""
    given = frozenset(scopes)
    return given.union(*(included for scope, included in INCLUDED.items() if scope in given))


def may(scopes: Iterable[str], *any_of: str) -> bool:
    """Return whether these scopes suffice where one of `any_of` is needed."""
    return not granted(scopes).isdisjoint(any_of)


def sorted_scopes(scopes: Collection[Scope]) -> list[Scope]:
    """Return each once, in the order of the table above."""
    return [scope for scope in SCOPES if scope in scopes]


def role_of(scopes: Iterable[str]) -> Role:
    """Return the highest role whose scopes these include; `viewer` at least."""
    has = granted(scopes)
    return next((role for role in reversed(ROLES) if has.issuperset(SCOPES_OF[role])), "viewer")


def highest(roles: Iterable[Role]) -> Role | None:
    return max(roles, key=ROLES.index, default=None)
