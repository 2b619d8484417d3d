"""From "at most 2% wrong" to a threshold: when a batch or prediction is submitted. Knows no HTTP."""

from typing import Any

from api.http.errors import invalid_field
from db import registry
from db.models import Alias, Model
from db.session import Session
from tsukiji.errors import GuaranteeUnmet
from tsukiji.guarantee.selective import overall
from tsukiji.types import BatchOptions, Metrics


def with_alias(options: BatchOptions, alias: Alias | None) -> BatchOptions:
    """Return the options with the target of the alias that they name, unless they have a threshold of their own."""
    own = options.target_error is not None or options.threshold or options.min_known is not None
    if alias is None or alias.target_error is None or own:
        return options
    return options.model_copy(update={"target_error": alias.target_error, "confidence": alias.confidence})


def promised(session: Session, model: Model, options: BatchOptions) -> dict[str, Any]:
    """Return the members of the batch's request that follow from its target and its prediction sets.

    Raises:
        Invalid: the model has several labels.
        GuaranteeUnmet: the held-out images are too few, or wrong too often, for this target.
    """
    if options.target_error is None and options.prediction_set is None:
        return {}
    if model.kind == "multi_label":
        name = "prediction_set" if options.target_error is None else "target_error"
        raise invalid_field(f"#/{name}", "models of several labels have no guarantees")
    metrics = registry.selective_metrics(session, model.id)
    if metrics is None or metrics.selective is None:
        hint = "Evaluate it: POST /v1/evaluations with a data set of labelled images that it has not learnt from."
        raise GuaranteeUnmet(f"The model {model.name!r} was evaluated by an earlier version.", hint=hint)
    found: dict[str, Any] = {}
    if options.target_error is not None:
        threshold = threshold_for(metrics, options.target_error, options.confidence)
        found |= {"threshold": threshold, "target_error": options.target_error, "confidence": options.confidence}
    if options.prediction_set is not None:
        limit = next(row.limit for row in metrics.prediction_sets if row.coverage == options.prediction_set)
        found |= {"prediction_set": options.prediction_set, "set_limit": limit}
    return found


def threshold_for(metrics: Metrics, target_error: float, confidence: float) -> float:
    """Return the threshold that keeps a target.

    Raises:
        GuaranteeUnmet
    """
    assert metrics.selective is not None
    found = overall(metrics.selective, target_error, confidence)
    if found.threshold is not None:
        return found.threshold
    wish = f"At most {100 * target_error:g}% wrong with a confidence of {100 * confidence:g}%"
    rest = f"{wish}: not with these {found.images} images"
    if found.more_images is None:
        raise GuaranteeUnmet(
            f"{rest}: the surest of them are wrong too often.",
            hint="Allow more errors, or train a better model.",
        )
    more = f"{float(f'{found.more_images:.2g}'):,.0f}"
    raise GuaranteeUnmet(
        f"{rest}; label about {more} more.",
        more_images=found.more_images,
    )
