"""A round of suggestions: the unlabelled pictures of a data set, sorted into piles by the features that are kept."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from threadpoolctl import threadpool_limits

from db.curation import suggestions
from db.curation.suggestions import Picture
from db.jobs import jobs
from db.jobs.requests import FeaturesRequest
from db.models import Job
from db.session import Session
from training.intervals import wilson
from training.piles import Floats, Ints, Piles, by_label, by_likeness
from tsukiji.types import Backbone
from tsukiji.types.suggestions import DOUBTFUL, pile_of_cluster, pile_of_label
from tsukiji.vision.feature_cache import PLAIN
from tsukiji.vision.shapes import architecture_of
from worker.jobs.analyses import dataset_of, tell
from worker.jobs.features import Features, Wanted
from worker.lease import Lease, Stale
from worker.services import Services

DIGITS = 4


def run(services: Services, job: Job, lease: Lease) -> None:
    """Sort the pictures, and end the job in the transaction that writes where each of them belongs.

    Raises:
        WeightsUnavailable, WeightsInvalid, BackboneUnavailable
    """
    dataset_id = dataset_of(job)
    with services.database.reading() as session:
        pictures = suggestions.pictures(session, dataset_id)
    features = look(services, job, lease, pictures)
    lease.check()
    with threadpool_limits(1):  # threads that wait by spinning: they cost six times the CPU beside other work
        rows, facts = sort(pictures, features)
    result = {"dataset_id": dataset_id, **facts}

    def write(session: Session) -> None:
        if not jobs.finish(session, job, result):
            raise Stale
        suggestions.replace(session, dataset_id, rows)

    services.retry_while_unavailable(write)


def look(services: Services, job: Job, lease: Lease, pictures: Sequence[Picture]) -> Floats:
    """Return features (N, D): the means of the backbone's last maps; zeros where a picture cannot be read.

    They are kept where trainings of the preset `quick` look for them.
    """
    asked = FeaturesRequest.of(job)
    facts = architecture_of(cast("Backbone", asked.backbone))
    width, used = facts.num_middle + 2 * facts.num_features, facts.num_features
    wanted = [Wanted(picture.sha256, picture.crop) for picture in pictures]
    names = [each.content for each in wanted]
    tell(services, job, phase="looking", completed=0, total=len(pictures))
    with services.attempt_folder(job) as folder:
        features = Features(services, asked, folder)
        found = features.read(names, PLAIN, width)
        if missing := [each for each in wanted if each.content not in found]:
            features.compute(missing, job, lease)
            found |= features.read([each.content for each in missing], PLAIN, width)
    nothing = np.zeros(used, np.float32)
    return np.array([found[name][-used:] if name in found else nothing for name in names]).reshape(-1, used)


def sort(pictures: Sequence[Picture], features: Floats) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return a row for each unlabelled picture (image_id, pile, label, score, rank), and what was measured."""
    seen = features.any(axis=1)
    has_label = np.array([picture.label is not None for picture in pictures])
    known, open_ = (np.flatnonzero(part).tolist() for part in (seen & has_label, seen & ~has_label))
    labels = sorted({pictures[number].label for number in known})
    facts: dict[str, Any] = {"labelled": int(has_label.sum()), "unlabelled": int((~has_label).sum())}
    facts["unreadable"] = int((~seen).sum())
    if len(labels) < 2:
        piles = by_likeness(features[open_])
        names = [pile_of_cluster(number + 1) for number in range(piles.piles.max(initial=-1) + 1)]
    else:
        numbers = {label: number for number, label in enumerate(labels)}
        classes = np.array([numbers[pictures[number].label] for number in known], np.int64)
        groups = groups_of([pictures[number] for number in known])
        piles = by_label(features[open_], features[known], classes, len(labels), groups)
        names = [pile_of_label(label) for label in labels]
    facts |= measured(piles, len(known))
    rows = [
        {
            "image_id": pictures[number].id,
            "pile": DOUBTFUL if pile < 0 else names[pile],
            "label": None if label < 0 else labels[label],
            "score": round(score, DIGITS),
            "rank": rank,
        }
        for number, pile, label, score, rank in zip(
            open_, piles.piles.tolist(), piles.labels.tolist(), piles.scores.tolist(), piles.ranks.tolist(), strict=True
        )
    ]
    unread = [pictures[number].id for number in np.flatnonzero(~seen & ~has_label).tolist()]
    last = {"pile": DOUBTFUL, "label": None, "score": 0.0, "rank": len(pictures)}
    return rows + [{"image_id": image_id, **last} for image_id in unread], facts


def groups_of(pictures: Sequence[Picture]) -> Ints:
    """Return a number for each picture, equal for pictures that are alike or that the user grouped, (N,)."""
    names = [(picture.group, "") if picture.group is not None else (None, picture.id) for picture in pictures]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return np.array([numbers[name] for name in names], np.int64)


def measured(piles: Piles, judged: int) -> dict[str, Any]:
    """Return the accuracy of predictions for labelled pictures by the others, and the bound of the piles."""
    if piles.right is None or piles.bound is None:
        return {"accuracy": None, "accuracy_interval": None, "bound": None}
    interval = [round(end, DIGITS) for end in wilson(piles.right, judged)]
    accuracy = round(piles.right / judged, DIGITS)
    return {"accuracy": accuracy, "accuracy_interval": interval, "bound": round(piles.bound, DIGITS)}
