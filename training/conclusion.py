"""After the last epoch: package, evaluation, suspected labels, report."""

import shutil
import time

import torch

from training import export
from training.cross_fitting import Probe
from training.evaluate import evaluate, suspect
from training.events import Phase
from training.probe import Linear
from training.run import PACKAGE_FOLDER, REPORT_FILE, Report, Run, draft_of
from training.served import choose_embedder
from training.targets import weights_of
from training.task import Task
from training.training_state import Fitted
from tsukiji.types.execution import Execution
from tsukiji.vision.package import INT8
from tsukiji.vision.predictor import Predictor


def conclude(task: Task, fitted: Fitted, began: float) -> Report:
    """Write and evaluate the package; write `report.json` last.

    Args:
        task: the training.
        fitted: the trained network.
        began: start time, by the monotonic clock.

    Raises:
        Cancelled
        TsukijiError: a picture cannot be read.
    """
    run, folder, events = task.run, task.folder, task.events
    package = folder / PACKAGE_FOLDER
    events.send(Phase(name="exporting"))
    export.write_package(package, run, fitted, task.preprocess)
    events.send(Phase(name="evaluating"))
    predictor = Predictor.load(package, run.device, run.recipe.batch_size)
    if run.recipe.preset == "quick" and task.embedder:
        own = task.embedder
        if task.int8:
            shutil.copyfile(task.int8, package / INT8)
    else:
        own = choose_embedder(task, package, predictor)
    probe = probe_of(task, fitted, predictor.model.num_middle)
    findings = evaluate(predictor, run, own.embed, candidates_of(run, fitted), probe)
    found = suspect(run, (task.embedder or own).embed)
    findings.metrics.execution = Execution(engine=own.plan.engine, precision=own.plan.precision)
    export.add_evaluation(package, run, fitted, findings)
    export.add_examples(package, run)
    report = Report(
        metrics=findings.metrics,
        items=findings.items,
        suspects=found,
        history=fitted.history,
        epoch=fitted.epoch,
        finished_early=len(fitted.history) < run.recipe.epochs,
        learning_rate=fitted.learning_rate,
        weights_source=fitted.source,
        seconds=round(time.monotonic() - began, 3),
        device=_name(task.device),
        versions=export.versions(run),
    )
    with draft_of(folder / REPORT_FILE) as draft:
        draft.write_text(report.model_dump_json(), encoding="utf-8")
    return report


def probe_of(task: Task, fitted: Fitted, middle: int) -> Probe | None:
    """Return how the head was fitted, if it is a linear probe."""
    if fitted.penalty is None:
        return None

    def step(_: Linear) -> bool:
        task.control.check()
        task.events.alive()
        return True

    labels, weights = len(task.run.label_names), weights_of(task.run)
    return Probe(labels, middle, fitted.penalty, fitted.epoch, weights, step)


def candidates_of(run: Run, fitted: Fitted) -> int:
    """Return among how many epochs the held-out images chose the one to keep."""
    chosen = run.recipe.preset == "thorough" or len(fitted.history) < run.recipe.epochs
    return max(1, len(fitted.history)) if chosen and run.recipe.preset != "quick" else 1


def _name(device: torch.device) -> str:
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)
