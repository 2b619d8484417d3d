"""A package's own evaluation, checked against the model. Knows no torch and no service."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import field_validator

from tsukiji.errors import PackageInvalid
from tsukiji.types import Metrics, Split
from tsukiji.types.base import is_int64
from tsukiji.vision import package
from tsukiji.vision.package import ModelConfig, Part

RECIPE_CHARACTERS: Final = 10_000


class Evaluated(Part):
    """The content of `evaluation.json`."""

    metrics: Metrics
    split: Split = "valid"
    recipe: dict[str, Any] = {}  # noqa: RUF012 - pydantic copies defaults
    """Empty if unknown."""

    @field_validator("recipe")
    @classmethod
    def _check_recipe(cls, recipe: dict[str, Any]) -> dict[str, Any]:
        if len(json.dumps(recipe, allow_nan=False)) > RECIPE_CHARACTERS:
            raise ValueError(f"a recipe has at most {RECIPE_CHARACTERS:,} characters")
        return recipe


def read_evaluation(folder: Path) -> Evaluated | None:
    """Return the package's evaluation, or None if it has none.

    Raises:
        PackageInvalid: `evaluation.json` is invalid.
    """
    if not (folder / package.EVALUATION).exists():
        return None
    return package.read_part(folder, package.EVALUATION, Evaluated, package.MAX_EVALUATION_BYTES)


def check_evaluation(evaluated: Evaluated, config: ModelConfig) -> None:
    """Raise PackageInvalid if it is of another model, or has values that cannot be stored or displayed."""
    metrics, names = evaluated.metrics, config.label_names
    several = config.kind == "multi_label"
    if (metrics.multi_label is not None) != several:
        raise PackageInvalid(f"{package.EVALUATION} is for another kind of model than {package.CONFIG}.")
    if metrics.label_names != names:
        raise PackageInvalid(f"{package.EVALUATION} has other labels than {package.CONFIG}.")
    _check_labels(names, "per_class", (row.label for row in metrics.per_class))
    _check_labels(names, "curves", (row.label for row in metrics.curves))
    _check_labels(names, "left_out", (row.label for row in metrics.unknown.left_out) if metrics.unknown else ())
    _check_matrix(names, "confusion", metrics.confusion)
    if metrics.multi_label:
        _check_labels(names, "per_label", (row.label for row in metrics.multi_label.per_label))
        _check_matrix(names, "co_occurrence", metrics.multi_label.co_occurrence)
        _check_matrix(names, "predicted_co_occurrence", metrics.multi_label.predicted_co_occurrence)
    _check_numbers(metrics.model_dump())


def _check_labels(names: Sequence[str], member: str, labels: Iterable[str]) -> None:
    found = list(labels)
    if len(set(found)) != len(found) or not set(found) <= set(names):
        raise PackageInvalid(
            f"{package.EVALUATION}: {member} lists labels twice, or labels that the model does not have."
        )


def _check_matrix(names: Sequence[str], member: str, rows: Sequence[Sequence[int]]) -> None:
    """Raise unless it is empty, or has a row and a column for each label."""
    if rows and {len(rows), *map(len, rows)} != {len(names)}:
        raise PackageInvalid(f"{package.EVALUATION}: {member} has no row and column for each of {len(names)} labels.")


def _check_numbers(value: Any) -> None:
    """Raise if a number is not finite, or does not fit into 64 bits."""
    todo = [value]
    while todo:
        match todo.pop():
            case dict() as members:
                todo.extend(members.values())
            case list() | tuple() as items:
                todo.extend(items)
            case float() as number if number - number != 0:
                raise PackageInvalid(f"{package.EVALUATION} holds NaN or Infinity.")
            case int() as number if not is_int64(number):
                raise PackageInvalid(f"{package.EVALUATION} holds a number of more than 64 bits.")
