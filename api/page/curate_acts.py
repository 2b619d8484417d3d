"""The edits offered for an entry of a queue, each with the body of its `POST /v1/datasets/{d}/revisions`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from api.page.curate_queues import Queue
from tsukiji.types import Finding, Image

DIGITS: Final = 9


@dataclass(frozen=True)
class Offer:
    """A button.

    Attributes:
        text: on it.
        said: once it is done.
        act: what is posted.
        key: by which it is pressed.
        tone: `primary`, `danger` or nothing.
    """

    text: str
    said: str
    act: dict[str, Any]
    key: str = ""
    tone: str = ""

    @property
    def json(self) -> str:
        return json.dumps(self.act, ensure_ascii=False)


def offers(
    queue: Queue, images: Sequence[Image], finding: Finding | None, labels: Sequence[str], *, several: bool
) -> list[Offer]:
    """Return the edits for an entry, the likeliest first.

    Args:
        queue: where one is.
        images: that are shown: one, or a group.
        finding: of the first.
        labels: of the data set, those with number keys first.
        several: whether an image may have several labels.
    """
    ids = [image.id for image in images]
    suggested = (finding.suggestion or {}) if finding else {}
    match queue.name:
        case "suspected-labels":
            wanted = suggested.get("labels") or suggested.get("label")
            return [
                Offer(f"Change to {named(wanted)}", f"Now {named(wanted)}.", relabel(ids, wanted), "a", "primary"),
                keep(queue, ids, f"Keep {named(images[0].labels)}"),
                *(offer for offer in relabels(images[0], labels, several=several) if offer.text != wanted),
                exclude(ids),
            ]
        case "conflicting-labels":
            found = choices(ids, suggested.get("labels") or {}, several=several)
            return [*found, keep(queue, ids, "Leave as they are"), exclude(ids)]
        case "near-duplicates":
            best = suggested.get("keep", ids[0])
            return [
                Offer("Keep the best", f"{len(ids) - 1} left out.", keep_best([(best, ids)]), "a", "primary"),
                keep(queue, ids, "Keep all"),
            ]
        case "leakage":
            split = suggested.get("split", "train")
            act = {"act": "split", "images": ids, "split": split}
            return [
                Offer(f"Put all in {split}", f"All in {split}.", act, "a", "primary"),
                keep(queue, ids, "Leave as they are"),
                exclude(ids),
            ]
        case "crops":
            act = {"act": "crop", "images": ids, "crop": suggested.get("crop")}
            return [
                Offer("Use this part", "Only this part is used.", act, "a", "primary"),
                keep(queue, ids, "Whole picture"),
                exclude(ids),
            ]
        case "corrections":
            return [
                Offer("Accept", "Accepted.", review(ids, "accepted"), "a", "primary"),
                Offer("Reject", "Rejected.", review(ids, "rejected"), "x", "danger"),
                *relabels(images[0], labels, several=several),
            ]
    return [keep(queue, ids, "Keep", "primary"), *relabels(images[0], labels, several=several), exclude(ids)]


def keep(queue: Queue, ids: Sequence[str], text: str, tone: str = "") -> Offer:
    return Offer(text, "Kept as it is.", {"act": "dismiss", "images": list(ids), "findings": queue.kinds}, "k", tone)


def exclude(ids: Sequence[str]) -> Offer:
    return Offer(
        "Exclude" if len(ids) == 1 else "Exclude all",
        "Excluded.",
        {"act": "exclude", "images": list(ids)},
        "x",
        "danger",
    )


def relabel(ids: Sequence[str], wanted: str | Sequence[str] | None) -> dict[str, Any]:
    return {"act": "relabel", "images": list(ids), **as_member(wanted)}


def given(suggestion: Mapping[str, Any]) -> dict[str, Any]:
    """Return the suggested label or labels as a member of an act."""
    return as_member(suggestion.get("labels") or suggestion.get("label"))


def as_member(wanted: str | Sequence[str] | None) -> dict[str, Any]:
    return {"label": wanted} if wanted is None or isinstance(wanted, str) else {"labels": list(wanted)}


def relabels(image: Image, labels: Sequence[str], *, several: bool) -> list[Offer]:
    """Return an offer for each of the labels that have a number key; of several, each comes to the others or goes."""
    mine = image.labels or []
    found: list[Offer] = []
    for number, label in enumerate(labels[:DIGITS], 1):
        if several:
            others = [other for other in mine if other != label]
            text, wanted = (f"− {label}", others) if label in mine else (f"+ {label}", sorted([*mine, label]))
            found.append(Offer(text, f"Now {named(wanted)}.", relabel([image.id], wanted), str(number)))
        elif label not in mine:
            found.append(Offer(label, f"Now {label}.", relabel([image.id], label), str(number)))
    return found


def choices(ids: Sequence[str], counts: dict[str, int], *, several: bool) -> list[Offer]:
    """Return an offer for each of the labels that pictures of a group have, the most frequent first."""
    ordered: list[str | list[str]] = [*sorted(counts, key=lambda label: (-counts[label], label))]
    if several:
        ordered.insert(0, sorted(counts))
    return [
        Offer(f"All are {named(label)}", f"All are {named(label)}.", relabel(ids, label), str(number))
        for number, label in enumerate(ordered[:DIGITS], 1)
    ]


def keep_best(groups: Sequence[tuple[str, Sequence[str]]]) -> dict[str, Any]:
    return {"act": "keep_best", "groups": [{"keep": best, "images": list(images)} for best, images in groups]}


def review(ids: Sequence[str], verdict: str) -> dict[str, Any]:
    return {"act": "review", "images": list(ids), "review": verdict}


def named(labels: str | Sequence[str] | None) -> str:
    """Return labels as text."""
    if labels is None:
        return "no label"
    return labels if isinstance(labels, str) else ", ".join(labels) or "none of the labels"
