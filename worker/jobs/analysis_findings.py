"""Findings of an analysis as rows, from the results of `tsukiji.curation.analysis`."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from db.curation import analyses
from db.curation.analyses import MEASURES, Picture
from db.curation.miniatures import miniatures_of
from training import label_issues
from training.random_projection import DIMENSIONS
from tsukiji.curation.analysis.issues import find_issues
from tsukiji.curation.analysis.neighbours import nearest
from tsukiji.curation.analysis.outliers import find_outliers
from tsukiji.curation.analysis.prevalence import is_prevalent, worst
from tsukiji.curation.analysis.selection import choose
from tsukiji.curation.analysis.similar import VIEWS, Check, candidates
from tsukiji.curation.copies import Copies
from tsukiji.curation.duplicates import unite
from tsukiji.curation.groups import parts
from tsukiji.labels import count_labels, is_set, split_labels
from tsukiji.types.analyses import FindingKind
from worker.services import Services

FEATURE_KINDS: Final[tuple[FindingKind, ...]] = ("outlier", "suspected_label", "label_next", "crop")
"""Findings based on a backbone's features."""
WHOLE_KINDS: Final[frozenset[FindingKind]] = frozenset(
    {"exact_duplicates", "near_duplicates", "conflicting_labels", "leaky_splits"}
)
"""Findings about an image alone: listed, however many images have them."""
CHOSEN_KINDS: Final[frozenset[FindingKind]] = frozenset({"label_next"})
"""A selection, whose number says nothing about the data set."""
COMPARED_KINDS: Final[frozenset[FindingKind]] = frozenset({"outlier", "suspected_label"})
"""Findings that list the image's nearest neighbours."""
NEIGHBOURS: Final = 6
NAMES: Final = 20
"""Most names that a finding lists."""
LEAST_LABELLED: Final = 20
CROPPED: Final = 0.6
"""A larger box, as a fraction of the picture, is not worth a crop."""
DIGITS: Final = 4

Floats = NDArray[np.float32]
Rows = Iterator[dict[str, Any]]
Group = list[int]
"""Positions of pictures."""


@dataclass(frozen=True)
class Seen:
    """A backbone's features of each picture; zeros where there are none.

    Attributes:
        vectors: compact embeddings of length 1, (N, DIMENSIONS).
        regions: left, upper, right, lower as fractions of width and height, (N, 4).
    """

    vectors: Floats
    regions: Floats

    @classmethod
    def nothing(cls, count: int) -> Self:
        return cls(np.zeros((count, DIMENSIONS), np.float32), np.zeros((count, 4), np.float32))


def find_all(
    services: Services, dataset_id: str, pictures: Sequence[Picture], seen: Seen, check: Check
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Return all findings (image_id, kind, score, group_id, suggestion; at most one of a kind for each image), and
    counts of prevalent kinds, of which only the worst are listed.
    """
    with services.database.reading() as session:
        names = analyses.other_names(session, dataset_id)
    groups = near_duplicates(services, dataset_id, pictures, check)
    found = chain(
        issues(pictures),
        again(pictures, names),
        alike(pictures, groups),
        conflicts(pictures, groups, names),
        leaks(pictures, groups),
    )
    rows = list(found)
    if seen.vectors.any():
        for by_features in (outliers, suspected_labels, label_next, crops):
            check()
            rows += by_features(pictures, seen)
    worth_a_look, prevalent = listed(rows, len(pictures))
    check()
    add_neighbours(worth_a_look, pictures, seen)
    return worth_a_look, prevalent


def listed(rows: Sequence[dict[str, Any]], images: int) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Return the findings worth a look, and the counts of prevalent kinds."""
    kinds: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        kinds[row["kind"]].append(row)
    prevalent = {
        kind: len(found)
        for kind, found in kinds.items()
        if kind not in CHOSEN_KINDS and is_prevalent(len(found), images)
    }
    for kind in prevalent.keys() - WHOLE_KINDS:
        kept = worst(np.array([row["score"] for row in kinds[kind]]), images)
        kinds[kind] = [row for row, keep in zip(kinds[kind], kept, strict=True) if keep]
    return [row for found in kinds.values() for row in found], prevalent


def finding(
    picture: Picture, kind: FindingKind, score: float, suggestion: dict[str, Any] | None = None, group_id: str = ""
) -> dict[str, Any]:
    return {
        "image_id": picture.id,
        "kind": kind,
        "score": round(score, DIGITS),  # the last bits of a sum depend on the number of threads
        "group_id": group_id,
        "suggestion": suggestion,
        "label": picture.label,
    }


# --- single pictures -------------------------------------------------------------------------------------------------


def issues(pictures: Sequence[Picture]) -> Rows:
    measured = [picture for picture in pictures if picture.hashes is not None]
    measures = {name: np.array([getattr(picture, name) for picture in measured], np.float64) for name in MEASURES}
    sizes = [(picture.width, picture.height) for picture in measured]
    for position, kind, score in find_issues(measures, sizes):
        yield finding(measured[position], kind, score)


def again(pictures: Sequence[Picture], names: Mapping[str, list[tuple[str, str | None]]]) -> Rows:
    """Yield pictures that were added more than once, under other names or labels."""
    for picture in pictures:
        if others := names.get(picture.id):
            listed = [{"name": name, **shown(label)} for name, label in others[:NAMES]]
            yield finding(picture, "exact_duplicates", 0.0, {"names": listed})


# --- near-duplicates -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Alike:
    """A group of near-duplicates, with the score of its closest pair."""

    members: Group
    score: float


def near_duplicates(services: Services, dataset_id: str, pictures: Sequence[Picture], check: Check) -> list[Alike]:
    """Return the groups of near-duplicates.

    Pictures compared before are not compared again: their groups are known.
    """
    with services.database.reading() as session:
        known = analyses.groups_of(session, dataset_id, "near_duplicates")
    measured = [number for number, picture in enumerate(pictures) if picture.hashes is not None]
    measured.sort(key=lambda number: not pictures[number].compared)
    first = sum(pictures[number].compared for number in measured)
    packed = b"".join(pictures[number].hashes for number in measured)
    hashes = np.frombuffer(packed, np.uint64).reshape(-1, VIEWS)

    def read(image_ids: Sequence[str]) -> Mapping[str, bytes]:
        with services.database.reading() as session:
            return miniatures_of(session, image_ids)

    ids, names = ([getattr(pictures[number], name) for number in measured] for name in ("id", "sha256"))
    roots = np.arange(len(measured))
    scores = unite_known(roots, [known.get(pictures[n].id) if pictures[n].compared else None for n in measured])
    copies = Copies(ids, names, hashes[:, 0], read, check=check)
    close, similar = copies.settle(roots, candidates(hashes, first, check))
    for place, likeness in zip(close.ravel().tolist(), np.repeat(similar, 2).tolist(), strict=True):
        scores[place] = min(scores.get(place, 1.0), 1 - likeness)
    found = [part.tolist() for part in parts(roots) if len(part) > 1]
    return [
        Alike(sorted(measured[place] for place in part), min(scores[place] for place in part if place in scores))
        for part in found
    ]


def unite_known(roots: NDArray[np.intp], known: Sequence[tuple[str, float] | None]) -> dict[int, float]:
    """Merge pictures of the same known group, in place; return their scores by position."""
    members = defaultdict(list)
    for place, row in enumerate(known):
        if row is not None:
            members[row[0]].append(place)
    pairs = [(places[0], other) for places in members.values() for other in places[1:]]
    if pairs:
        left, right = np.array(pairs, np.intp).T
        unite(roots, left, right)
    return {place: row[1] for place, row in enumerate(known) if row is not None}


def alike(pictures: Sequence[Picture], groups: Sequence[Alike]) -> Rows:
    """Yield near-duplicates, each with the one to keep: the largest, then the least compressed."""
    for group in groups:
        members = [pictures[number] for number in group.members]
        best = max(members, key=lambda picture: (picture.width * picture.height, picture.bytes, picture.id))
        for picture in members:
            yield finding(picture, "near_duplicates", group.score, {"keep": best.id}, members[0].id)


def conflicts(
    pictures: Sequence[Picture], groups: Sequence[Alike], names: Mapping[str, list[tuple[str, str | None]]]
) -> Rows:
    """Yield pictures that have, or were added with, two labels; for sets, two conflicting ones.

    A name under which a picture brought some of its labels is no conflict: those are in its set.
    """
    grouped: set[int] = set()
    for group in groups:
        members = [pictures[number] for number in group.members]
        found = [text for picture in members for text in texts_of(picture, names)]
        if len(set(found)) > 1:
            grouped.update(group.members)
            for picture in members:
                suggestion = {"labels": dict(count_labels(Counter(found).items()))}
                yield finding(picture, "conflicting_labels", group.score, suggestion, members[0].id)
    for number, picture in enumerate(pictures):
        if number in grouped or picture.id not in names:
            continue
        found = list(texts_of(picture, names))
        if len(set(found)) > 1:
            suggestion = {"labels": dict(count_labels(Counter(found).items()))}
            yield finding(picture, "conflicting_labels", 0.0, suggestion)


def texts_of(picture: Picture, names: Mapping[str, list[tuple[str, str | None]]]) -> Iterator[str]:
    """Yield a picture's label or set, and differing ones of its other names."""
    if picture.label is not None:
        yield picture.label
    mine = set(split_labels(picture.label)) if is_set(picture.label) else set()
    for _, text in names.get(picture.id, ()):
        if text is not None and not (is_set(text) and set(split_labels(text)) <= mine):
            yield text


def shown(text: str | None) -> dict[str, Any]:
    """Return the label, or the labels of a set."""
    return {"labels": split_labels(text)} if text is not None and is_set(text) else {"label": text}


def leaks(pictures: Sequence[Picture], groups: Sequence[Alike]) -> Rows:
    """Yield near-duplicates in both training and evaluation, with the side that all should be on.

    Nothing that resembles a test image should be trained on.
    """
    for group in groups:
        members = [pictures[number] for number in group.members]
        splits = Counter(picture.split for picture in members if picture.split is not None)
        if len(splits) > 1:
            side = next(split for split in ("test", "train", "valid") if split in splits)
            suggestion = {"split": side, "splits": dict(splits)}
            for picture in members:
                yield finding(picture, "leaky_splits", group.score, suggestion, members[0].id)


# --- by features -----------------------------------------------------------------------------------------------------


def outliers(pictures: Sequence[Picture], seen: Seen) -> Rows:
    looked_at = np.flatnonzero(seen.vectors.any(axis=1)).tolist()
    for place, similar in find_outliers(seen.vectors[looked_at]):
        yield finding(pictures[looked_at[place]], "outlier", similar)


def suspected_labels(pictures: Sequence[Picture], seen: Seen) -> Rows:
    """Yield pictures whose label may be wrong; for sets, those with a superfluous or a missing label."""
    chosen, classes, labels = labelled(pictures, seen)
    if len(labels) < 2 or len(chosen) < LEAST_LABELLED:
        return
    if is_set(labels[0]):
        yield from suspected_sets([pictures[number] for number in chosen.tolist()], seen.vectors[chosen])
        return
    scores = label_issues.leave_one_out(seen.vectors[chosen], classes, len(labels))
    for place, other, score in label_issues.rank(scores, classes):
        if not label_issues.is_doubted(score):
            return
        yield finding(pictures[chosen[place]], "suspected_label", score, {"label": labels[other]})


def suspected_sets(pictures: Sequence[Picture], vectors: Floats) -> Rows:
    """Yield labelled pictures whose sets may be wrong, with the whole suggested set."""
    names = sorted({label for picture in pictures for label in split_labels(picture.label)})
    numbers = {name: number for number, name in enumerate(names)}
    sets = np.zeros((len(pictures), len(names)), bool)
    for row, picture in zip(sets, pictures, strict=True):
        row[[numbers[label] for label in split_labels(picture.label)]] = True
    for place, wanted, score in label_issues.rank_sets(label_issues.leave_one_out_sets(vectors, sets), sets):
        labels = [names[number] for number in np.flatnonzero(wanted)]
        yield finding(pictures[place], "suspected_label", score, {"labels": labels})


def add_neighbours(rows: Sequence[dict[str, Any]], pictures: Sequence[Picture], seen: Seen) -> None:
    """Name the pictures that look most like each doubtful one, nearest first: what a person compares it with."""
    looked_at = np.flatnonzero(seen.vectors.any(axis=1))
    places = {pictures[number].id: place for place, number in enumerate(looked_at.tolist())}
    doubtful = [row for row in rows if row["kind"] in COMPARED_KINDS]
    images = np.array([places[row["image_id"]] for row in doubtful], np.intp)
    for row, found in zip(doubtful, nearest(seen.vectors[looked_at], images, NEIGHBOURS), strict=True):
        others = [pictures[number].id for number in looked_at[found].tolist()]
        row["suggestion"] = (row["suggestion"] or {}) | {"neighbours": others}


def label_next(pictures: Sequence[Picture], seen: Seen) -> Rows:
    """Yield the unlabelled images most worth labelling, in this order."""
    open_ = np.flatnonzero(seen.vectors.any(axis=1) & np.array([picture.label is None for picture in pictures]))
    if not len(open_):
        return
    chosen, classes, labels = labelled(pictures, seen)
    if labels and is_set(labels[0]):
        labels = []  # sets are not exclusive classes: choose the most diverse ones
    picked = choose(seen.vectors[open_], seen.vectors[chosen], classes, len(labels))
    for rank, choice in enumerate(picked):
        label = None if choice.label is None else labels[choice.label]
        guess = {"label": label, "margin": round(choice.margin, DIGITS)}
        yield finding(pictures[open_[choice.image]], "label_next", rank / len(picked), guess)


def crops(pictures: Sequence[Picture], seen: Seen) -> Rows:
    """Yield pictures with a small relevant region, with its box in pixels."""
    sides = np.array([(picture.width, picture.height) * 2 for picture in pictures])
    boxes = np.rint(seen.regions * sides).astype(np.int64).clip(0, sides)
    parts_kept = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) / sides[:, :2].prod(axis=1)
    for number in np.flatnonzero((parts_kept > 0) & (parts_kept < CROPPED)).tolist():
        yield finding(pictures[number], "crop", float(parts_kept[number]), {"crop": boxes[number].tolist()})


def labelled(pictures: Sequence[Picture], seen: Seen) -> tuple[NDArray[np.intp], NDArray[np.int64], list[str]]:
    """Return the positions of labelled pictures with features, their class numbers, and the labels in order."""
    has_label = np.array([picture.label is not None for picture in pictures])
    chosen = np.flatnonzero(seen.vectors.any(axis=1) & has_label)
    labels = sorted({pictures[number].label for number in chosen.tolist()})
    numbers = {label: number for number, label in enumerate(labels)}
    return chosen, np.array([numbers[pictures[number].label] for number in chosen.tolist()], np.int64), labels
