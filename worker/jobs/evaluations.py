"""Evaluating a model on a data set: planned and classified like a batch, then measured once."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from db import probabilities, registry
from db.curation import datasets
from db.jobs import jobs
from db.jobs.requests import EvaluationRequest
from db.models import Evaluation, Job, Model
from db.paging import Window
from db.predictions import results
from db.predictions.results import ResultRow, Wanted
from db.session import Session
from training import guarantees
from training.cross_fitting import Judged
from training.metrics import losses, measure
from training.multilabel_metrics import measure_sets, set_losses
from training.targets import as_sets
from tsukiji.curation import snapshots
from tsukiji.errors import KindMismatch, LabelsUnknown, ModelGone
from tsukiji.ids import new_id
from tsukiji.jobs import MEASURING
from tsukiji.labels import SEPARATOR, split_labels
from tsukiji.types import Metrics
from tsukiji.types.batches import MIN_KNOWN
from tsukiji.types.execution import Execution
from tsukiji.vision.package import CALIBRATION, Calibration
from worker.inputs.batch_inputs import PAGE, from_dataset
from worker.jobs.batches import store
from worker.lease import Lease, Stale
from worker.services import Services

Floats = NDArray[np.floating]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


def run(services: Services, job: Job, lease: Lease) -> None:
    """Do the evaluation's next step."""
    if job.phase == MEASURING:
        settle(services, job, lease)
    else:
        plan(services, job)


def plan(services: Services, job: Job) -> None:
    """Write the labelled images as items and chunks.

    Raises:
        KindMismatch: the images have one label and the model has several, or the reverse.
        LabelsUnknown: the model does not know some of the labels; its accuracy would mean nothing.
    """
    asked = EvaluationRequest.of(job)
    with services.database.reading() as session:
        kind = datasets.find(session, asked.input.dataset).kind
    if asked.kind != kind:
        raise KindMismatch(f"The data set is {kind}, the model is not.")
    items = [item for item in from_dataset(services, job, asked.input) if item["true_label"] is not None]
    check_labels({label for item in items for label in split_labels(item["true_label"])}, asked.label_names)
    store(services, job, items)


def check_labels(labels: set[str], known: list[str]) -> None:
    if unknown := sorted(labels - set(known)):
        listed = ", ".join(repr(label) for label in unknown[:20])
        raise LabelsUnknown(f"The model does not know these labels: {listed}.", labels=unknown)


def settle(services: Services, job: Job, lease: Lease) -> None:
    """Compute the metrics from the predictions, and end the job in the transaction that inserts the evaluation."""
    asked = EvaluationRequest.of(job)
    label_names = asked.label_names
    rows = classified(services, job, lease)
    shares = np.stack([probabilities.read(row.probabilities, len(label_names)) for row in rows])
    truth = as_sets([split_labels(row.true_label or "") for row in rows], label_names)
    seen = seen_in_training(services, asked.model, rows)
    if asked.kind == "multi_label":
        decided = as_sets([split_labels(row.labels or SEPARATOR) for row in rows], label_names)
        metrics = measure_sets(truth, shares, decided, label_names, thresholds_of(services, asked.model))
        costs = set_losses(truth, shares)
    else:
        classes = truth.argmax(axis=1)
        metrics, costs = measure(classes, shares, label_names), losses(classes, shares)
        promise(metrics, classes, shares, rows, ~seen)
    metrics.execution = executed(job)
    lease.check()
    items = items_of(services, job, rows, costs.tolist())
    counts = {"errored": job.items_errored, "seen_in_training": int(seen.sum())}
    evaluation_id, model_id = new_id("evl"), asked.model
    result = {"evaluation_id": evaluation_id, "model_id": model_id, "accuracy": metrics.accuracy}

    def end(session: Session) -> None:
        if not jobs.finish(session, job, result | {"images": metrics.images} | counts):
            raise Stale
        if session.get(Model, model_id) is None:
            raise ModelGone
        current = jobs.find(session, job.id)
        session.refresh(current)  # its data set may have been deleted meanwhile
        evaluation = Evaluation(
            id=evaluation_id,
            model_id=model_id,
            dataset_id=current.dataset_id,
            split=asked.input.split or "all",
            metrics=metrics.model_dump(),
            **counts,
        )
        registry.add_evaluation(session, evaluation, items)

    services.retry_while_unavailable(end)


def promise(metrics: Metrics, classes: Ints, shares: Floats, rows: Sequence[ResultRow], new: Bools) -> None:
    """Add guarantees from the images that the model has not learnt from, with probabilities as batches have them."""
    numbers = {label: number for number, label in enumerate(metrics.label_names)}
    taken_for = np.array([numbers[row.label or ""] for row in rows])
    scores = np.array([row.score or 0.0 for row in rows])
    known = np.array([row.known_score is None or row.known_score >= MIN_KNOWN for row in rows])
    guarantees.add(metrics, Judged(classes[new], taken_for[new], scores[new], known[new]), shares[new])


def executed(job: Job) -> Execution | None:
    """Return what computed the embeddings of the last chunk; None if nothing was classified."""
    told = job.engine or {}
    return Execution(engine=told.get("engine", "torch"), precision=told["precision"]) if "precision" in told else None


def thresholds_of(services: Services, model_id: str) -> list[float] | None:
    """Return the thresholds of a multi-label model; None if its package has none.

    Raises:
        ModelGone
    """
    with services.database.reading() as session:
        hashes = {file.name: file.sha256 for file in registry.model_files(session, model_id)}
    if CALIBRATION not in hashes:
        raise ModelGone
    return Calibration.model_validate_json(services.store.read(hashes[CALIBRATION])).thresholds


def classified(services: Services, job: Job, lease: Lease) -> list[ResultRow]:
    """Return the readable images, with their predictions."""
    rows: list[ResultRow] = []
    window = Window(PAGE)
    while True:
        lease.check()
        with services.database.reading() as session:
            page, cursor = results.page(session, job.id, window, Wanted(status="succeeded"))
        rows += page
        if cursor is None:
            return rows
        window = Window(PAGE, cursor)


def items_of(services: Services, job: Job, rows: list[ResultRow], costs: list[float]) -> list[dict[str, Any]]:
    """Return the evaluation's rows; images deleted meanwhile have no id."""
    with services.database.reading() as session:
        named = datasets.names_of(session, job.dataset_id) if job.dataset_id else {}
    items = []
    for seq, (row, cost) in enumerate(zip(rows, costs, strict=True)):
        sha256 = row.sha256 or ""
        image_id, name = named.get(sha256, (None, row.custom_id))
        items.append(
            {
                "seq": seq,
                "image_id": image_id,
                "name": name,
                "sha256": sha256,
                "true_label": row.true_label,
                "predicted_label": row.labels or row.label,
                "score": row.score,
                "loss": cost,
                "known_score": row.known_score,
                "probabilities": row.probabilities,
            }
        )
    return items


def seen_in_training(services: Services, model_id: str, rows: list[ResultRow]) -> Bools:
    """Return which images (N,) the model was trained on, by their content."""
    with services.database.reading() as session:
        model = session.get(Model, model_id)
        if model is None or model.snapshot_id is None:
            return np.zeros(len(rows), np.bool_)
        snapshot = registry.find_snapshot(session, model.snapshot_id)
    lines = snapshots.loads(services.store.read(snapshot.sha256))
    learnt = {line.sha256 for line in lines if line.split == "train"}
    return np.array([row.sha256 in learnt for row in rows])
