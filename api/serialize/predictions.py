"""One image's result, as a record and as a row of a table. Knows no request; everything it needs is passed in."""

import json
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from api.serialize.job_records import job_place
from api.serialize.thresholds import AS_ASKED, Thresholds
from db import probabilities
from db.jobs.requests import BatchRequest
from db.models import Job
from db.predictions.results import ResultRow
from tsukiji import types
from tsukiji.guarantee.conformal import chance, members, places
from tsukiji.jobs import TERMINAL, JobStatus
from tsukiji.labels import all_labels, cell, join_labels, one_label, split_labels

HEAD: Final[dict[str, type]] = {
    "custom_id": str,
    "status": str,
    "decision": str,
    "best_label": str,
    "score": float,
    "known_score": float,
    "abstain_reason": str,
    "true_label": str,
    "error": str,
    "width": int,
    "height": int,
}
"""The first columns of a table, and their values; null if unknown. `|` separates labels.

The decision comes first: `best_label` and its `score` are there without one, too. Of a model of several labels `labels`
stand in the place of the decision."""

Probabilities = NDArray[np.float32]


def unreached(job: Job) -> Literal["queued", "cancelled", "expired"]:
    """Return what an image without a result is called: one name while the batch goes on, another once it has ended."""
    if job.status not in TERMINAL:
        return "queued"
    return "expired" if job.status == JobStatus.EXPIRED else "cancelled"


class Reader:
    """Reads the rows of one batch, and decides by its reader's thresholds."""

    def __init__(self, job: Job, thresholds: Thresholds = AS_ASKED) -> None:
        self.rule = thresholds.rule(job)
        self.job_id = job.id
        self.place = f"{job_place(job)}/results"
        asked = BatchRequest.of(job)
        self.model = asked.model
        self.tagged = asked.tags
        self.unreached = unreached(job)
        self.label_names = asked.label_names
        self.top_k = min(asked.top_k, len(self.label_names))
        self.with_sets, self.set_limit = asked.prediction_set is not None, asked.set_limit
        self._number_of = {label: number for number, label in enumerate(self.label_names)}

    def prediction(self, row: ResultRow, *, complete: bool = False) -> types.Prediction:
        """Return the record; `complete`: with the probability of every label."""
        known: dict[str, Any] = {
            "job_id": self.job_id,
            "seq": row.seq,
            "custom_id": row.custom_id,
            "true_label": one_label(row.true_label),
            "true_labels": all_labels(row.true_label),
            "model": self.model,
            "image": types.ImageInfo(sha256=row.sha256, width=row.width, height=row.height),
        }
        if row.label is None or row.score is None:
            error = None if row.error is None else types.Problem.model_validate(row.error)
            return types.Prediction(**known, status=self.status(row), error=error)
        values = self.probabilities(row)
        labels, refusal = self.verdict(row, values)
        return types.Prediction(
            **known,
            status="succeeded",
            label=row.label,
            score=row.score,
            known_score=row.known_score,
            decision=None if refusal or self.rule.several else row.label,
            labels=labels,
            abstained=refusal is not None,
            abstain_reason=refusal,
            scores=[types.Score(label=label, score=score) for label, score in self.best(row.label, values)],
            prediction_set=self.prediction_set(row, values) if self.with_sets else None,
            tags=None if row.tags is None else [types.Tag.model_validate(tag) for tag in row.tags],
            heatmap=self.heatmap(row),
            probabilities=values.tolist() if complete else None,
        )

    def verdict(self, row: ResultRow, values: Probabilities) -> tuple[list[str] | None, str | None]:
        """Return the labels that a classified image has, if its model has several, and why it has no decision."""
        if row.labels is None:
            return None, self.rule.refusal(row.score or 0.0, row.known_score)
        text = self.rule.decided(row.labels, self.label_names, values.tolist())
        refusal = self.rule.refusal(row.score or 0.0, row.known_score, text)
        return [] if refusal else split_labels(text), refusal

    def prediction_set(self, row: ResultRow, values: Probabilities) -> list[str]:
        """Return the labels that join the set, likeliest first; none if the picture's chance leaves all out."""
        shares = values[None, :]
        inside = members(places(shares, np.array([chance(row.sha256 or "")])), self.set_limit)[0]
        order = np.argsort(-values, kind="stable")
        return [self.label_names[number] for number in order if inside[number]]

    def heatmap(self, row: ResultRow) -> types.Heatmap | None:
        if row.heatmap is None:
            return None
        withheld = row.heatmap.get("withheld") is not None
        links = {} if withheld else {"png": f"{self.place}/{row.seq}/heatmap.png"}
        return types.Heatmap.model_validate(row.heatmap | {"links": links})

    def status(self, row: ResultRow) -> Literal["queued", "succeeded", "errored", "cancelled", "expired"]:
        if row.reached is None:
            return self.unreached
        return "errored" if row.label is None else "succeeded"

    def probabilities(self, row: ResultRow) -> Probabilities:
        """Return all of them, in the order of `label_names`; of an image without a label, none."""
        values = probabilities.read(row.probabilities, len(self.label_names))
        if values.size and row.label is not None:
            values[self._number_of[row.label]] = row.score  # kept exactly, however the others are
        return values

    def best(self, label: str, values: Probabilities) -> list[tuple[str, float]]:
        """Return the likeliest labels with their probabilities, `label` first."""
        if not values.size:
            return []
        order = values.copy()
        order[self._number_of[label]] = 2  # before one that rounding has made as likely
        ranks = np.argsort(-order, kind="stable")[: self.top_k]
        return [(self.label_names[rank], float(values[rank])) for rank in ranks]

    @property
    def columns(self) -> dict[str, type]:
        """Return the columns of a table and their values, without the complete probabilities."""
        best = {f"{name}_{rank}": kind for rank in range(1, self.top_k + 1) for name, kind in BEST.items()}
        head = {"labels" if self.rule.several and name == "decision" else name: kind for name, kind in HEAD.items()}
        asked = {"prediction_set": self.with_sets, "tags": self.tagged}
        return head | best | {name: str for name, wanted in asked.items() if wanted}

    @property
    def probability_columns(self) -> list[str]:
        """Return a column's name for each label."""
        return [f"p_{label}" for label in self.label_names]

    def cells(self, row: ResultRow, values: Probabilities) -> list[Any]:
        """Return a row of the table whose `columns` are these."""
        labels, refusal = (None, None) if row.score is None else self.verdict(row, values)
        best = [] if row.label is None else [part for pair in self.best(row.label, values) for part in pair]
        decision = None if refusal else row.label
        if self.rule.several:
            decision = None if labels is None else cell(join_labels(labels))
        return [
            row.custom_id,
            self.status(row),
            decision,
            row.label,
            row.score,
            row.known_score,
            refusal,
            cell(row.true_label),
            row.error and row.error["code"],
            row.width,
            row.height,
            *best,
            *[None] * (2 * self.top_k - len(best)),
            *([cell(join_labels(self.prediction_set(row, values))) if row.label else None] if self.with_sets else []),
            *([None if row.tags is None else json.dumps(row.tags, ensure_ascii=False)] if self.tagged else []),
        ]


BEST: Final[dict[str, type]] = {"label": str, "score": float}
