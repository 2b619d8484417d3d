"""The order of a training: fit, package, evaluate, report."""

import time
from pathlib import Path

import torch

from training import export
from training.control import Control
from training.evaluate import evaluate
from training.events import Events
from training.fit import Fit
from training.run import PACKAGE_FOLDER, REPORT_FILE, Report, draft_of, load
from tsukiji.vision.device import choose_device
from tsukiji.vision.predictor import Predictor
from tsukiji.vision.preprocess import Preprocess


def train(folder: Path, events: Events, control: Control) -> Report:
    """Run the training in `folder`; at the end it holds `package/` and `report.json`.

    Raises:
        Cancelled: that was ordered.
        TsukijiError: why it could not be done.
    """
    began = time.monotonic()
    run = load(folder)
    device, preprocess = choose_device(run.device), Preprocess(size=run.recipe.image_size)
    fitted = Fit(run, folder, device, events, control).train(preprocess)
    package = folder / PACKAGE_FOLDER
    events.send("phase", name="exporting")
    export.write_package(package, run, fitted, preprocess)
    events.send("phase", name="evaluating")
    predictor = Predictor.load(package, run.device, run.recipe.batch_size)
    metrics, items = evaluate(predictor, run, control, events)
    export.add_evaluation(package, run, fitted, metrics)
    report = Report(
        metrics=metrics,
        items=items,
        history=fitted.history,
        epoch=fitted.epoch,
        finished_early=len(fitted.history) < run.recipe.epochs,
        weights_source=fitted.source,
        seconds=round(time.monotonic() - began, 3),
        device=_name(device),
        versions=export.versions(),
    )
    with draft_of(folder / REPORT_FILE) as draft:
        draft.write_text(report.model_dump_json(), encoding="utf-8")
    return report


def _name(device: torch.device) -> str:
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)
