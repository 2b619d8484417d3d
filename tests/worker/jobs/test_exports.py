"""An export as a worker does it: a file and its facts, registered with the job's end, or a reason and nothing."""

import json

import pytest

from db import registry
from db.jobs import exports, jobs
from db.models import Evaluation
from tests.worker.conftest import work
from training import conversion
from training.conversion import Conversion
from tsukiji.errors import NotFound
from tsukiji.ids import new_id
from tsukiji.jobs import JobKind
from worker.jobs import exports as worker_exports
from worker.jobs.exports import run


@pytest.fixture
def export(submit, model):
    def make(wanted="onnx"):
        request = {"model": model.id, "format": wanted}
        return submit.job(JobKind.EXPORT, request=request, model_id=model.id, unit="files", total=1)

    return make


@pytest.fixture
def converter(monkeypatch, tmp_path):
    """Replace the converter, which takes its time, by a program that does what the test says."""

    def install(source):
        (tmp_path / "fake_converter.py").write_text(PREPARE + source)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        monkeypatch.setattr(worker_exports, "CONVERTER", "fake_converter")

    return install


PREPARE = """
import json, os, sys, time
from pathlib import Path
folder = Path(sys.argv[1])
asked = json.loads((folder / "conversion.json").read_text())
def send(**event): print(json.dumps(event), flush=True)
"""
GOOD = """
send(type="phase", name="exporting")
(folder / "model.onnx").write_bytes(b"onnx")
(folder / "facts.json").write_text(json.dumps({"images": len(asked["images"]), "files": os.listdir(asked["package"])}))
send(type="done")
"""
REFUSES = """
send(type="error", code="export_failed", title="t", detail="no onnx here", hint="install it", retriable=False)
sys.exit(1)
"""
DIES = "os._exit(9)"
HANGS = """
send(type="phase", name="exporting")
time.sleep(60)
"""


def found(services, model, wanted="onnx"):
    with services.database.reading() as session:
        return exports.find(session, model.id, wanted)


def add_held_out(services, model, contents):
    """Give the model an evaluation on these images."""
    item = {
        "image_id": None,
        "true_label": "red",
        "predicted_label": "red",
        "score": 1,
        "loss": 0,
        "probabilities": b"",
    }
    hashes = [services.store.put(content).sha256 for content in contents]
    metrics = {}
    with services.database.transaction() as session:
        evaluation = Evaluation(id=new_id("evl"), model_id=model.id, split="valid", metrics=metrics)
        rows = [item | {"seq": seq, "name": f"{seq}", "sha256": sha256} for seq, sha256 in enumerate(hashes)]
        registry.add_evaluation(session, evaluation, rows)
    return hashes


@pytest.mark.slow
def test_a_model_becomes_onnx(services, submit, model, export):
    job = export()
    work(services, job.id, run)
    ended = submit.find(job)
    assert (ended.status, ended.error) == ("succeeded", None)
    row = found(services, model)
    assert row.facts["top1_agreement"] == 1
    assert row.facts["max_difference"] < 1e-4
    assert row.facts["compared_on"] == "noise", "the package has no examples, the model no evaluation"
    assert services.store.read(row.sha256)
    assert (ended.result["sha256"], ended.result["bytes"]) == (row.sha256, row.bytes)
    assert not any(services.work_folder("x").parent.glob(f"{job.id}*")), "nothing is left lying about"


def test_it_is_compared_on_held_out_images_evenly_and_without_those_deleted(
    services, submit, model, export, converter, monkeypatch
):
    converter(GOOD)
    monkeypatch.setattr(worker_exports, "COMPARED_IMAGES", 5)
    hashes = add_held_out(services, model, [bytes([number]) for number in range(20)])
    services.store.delete(hashes[4])
    work(services, export().id, run)
    facts = found(services, model).facts
    assert facts["images"] == 4, "every fourth, less one"
    assert set(facts["files"]) >= {"manifest.json", "model.safetensors"}


def test_what_the_converter_says_is_the_jobs_reason(services, submit, model, export, converter):
    converter(REFUSES)
    job = export()
    work(services, job.id, run)
    ended = submit.find(job)
    assert (ended.status, ended.error["code"], ended.error["hint"]) == ("failed", "export_failed", "install it")
    with pytest.raises(NotFound):
        found(services, model)


def test_a_converter_that_dies_is_tried_again(services, submit, model, export, converter):
    converter(DIES)
    job = export()
    work(services, job.id, run)
    assert submit.find(job).status == "queued"
    converter(GOOD)
    work(services, job.id, run)
    ended = submit.find(job)
    assert (ended.status, ended.attempt) == ("succeeded", 2)


def test_a_cancelled_export_ends_and_leaves_nothing(services, submit, model, export, converter):
    converter(HANGS)
    job = export()

    def cancel_when_running(services, job, lease):
        with services.database.transaction() as session:
            jobs.request_cancel(session, job.id)
        run(services, job, lease)

    work(services, job.id, cancel_when_running)
    assert submit.find(job).status == "cancelled"
    with pytest.raises(NotFound):
        found(services, model)
    assert not any(services.work_folder("x").parent.glob(f"{job.id}*"))


def test_a_model_that_was_deleted_fails_its_export(services, submit, model, export, converter):
    converter(GOOD)
    job = export()
    with services.database.transaction() as session:
        registry.remove_model(session, model.id)
    work(services, job.id, run)
    ended = submit.find(job)
    assert (ended.status, ended.error["code"]) == ("failed", "model_gone")


def test_an_export_made_anew_replaces_the_older(services, submit, model, export, converter):
    converter(GOOD)
    work(services, export().id, run)
    converter(GOOD.replace('b"onnx"', 'b"other"'))
    work(services, export().id, run)
    assert services.store.read(found(services, model).sha256) == b"other"
    with services.database.reading() as session:
        assert len(exports.exports_of(session, model.id)) == 1


def test_a_request_is_read_as_it_was_written(tmp_path):
    asked = Conversion(format="fastai", package=tmp_path, images=[tmp_path / "a"])
    conversion.write_request(tmp_path, asked)
    assert conversion.read_request(tmp_path) == asked
    assert conversion.target_of(tmp_path, asked).name == "model.pkl"
    assert "limits" in json.loads((tmp_path / "conversion.json").read_text())
