"""Choice of a job's backbone at submission, by the weights that workers report."""

from api.services import Services
from db.jobs import workers
from db.session import Session
from tsukiji.errors import WeightsUnavailable
from tsukiji.jobs import PRESENT_SECONDS, Queue
from tsukiji.types import Recipe
from tsukiji.types.trainings import AUTO, DEFAULT, FALLBACK
from tsukiji.vision.backbones import backbone_of, file_stem, find_weights


def settle(session: Session, services: Services, recipe: Recipe) -> tuple[Recipe, str | None]:
    """Return the recipe with the backbone's name; and for `auto`, which one was chosen and why.

    Raises:
        WeightsUnavailable: pretrained weights are required, and no training worker can load them.
    """
    reachable = workers.reachable_weights(session, Queue.TRAIN, PRESENT_SECONDS)
    chosen = None
    if recipe.backbone == AUTO:
        backbone, why = choose(reachable) if recipe.pretrained else (DEFAULT, "no pretrained weights are requested")
        recipe, chosen = recipe.model_copy(update={"backbone": backbone}), f"{backbone}, because {why}"
    if recipe.pretrained and reachable is not None:
        check(services, recipe, reachable)
    return recipe, chosen


def settle_backbone(session: Session, backbone: str) -> str:
    """Return the name of the backbone for an analysis; if it cannot be loaded, the findings say so."""
    if backbone != AUTO:
        return backbone
    return choose(workers.reachable_weights(session, Queue.INTAKE, PRESENT_SECONDS))[0]


def choose(reachable: set[str] | None) -> tuple[str, str]:
    """Return the choice for `auto`, and why."""
    if reachable is None:
        return FALLBACK, "no worker has reported its weights yet, and these come with every worker"
    if DEFAULT in reachable:
        return DEFAULT, "a worker has its weights"
    return FALLBACK, f"no worker has the weights of {DEFAULT}"


def check(services: Services, recipe: Recipe, reachable: set[str]) -> None:
    """Raise WeightsUnavailable if the recipe's weights are not available.

    Also checks the weights folder: new files there are not in any worker's report yet.
    """
    backbone = backbone_of(recipe.backbone)
    weights = backbone.pretrained(recipe.weights)
    if file_stem(backbone, weights) in reachable or find_weights(backbone, services.settings.weights_dir, weights):
        return
    ways = ["Give the workers the file with `tsukiji weights add FILE`"]
    if FALLBACK in reachable:
        ways.insert(0, f"Use the backbone {FALLBACK} (`--backbone {FALLBACK}`), which works now")
    raise WeightsUnavailable(
        f"The workers can neither find nor download the pretrained weights {weights.name} of {backbone.name}.",
        hint=f"{'; or '.join(ways)}.",
        available=sorted(reachable),
    )
