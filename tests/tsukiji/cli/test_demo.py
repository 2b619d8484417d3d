import json
from contextlib import contextmanager

import pytest

from tests.tsukiji.client.service import Answer, dataset, evaluation, failed, job, lines, page, prediction, problem
from tsukiji import Client
from tsukiji.cli import demo

RESULT = {"model_id": "mdl_1", "evaluation_id": "evl_1"}
KEYS = [
    "accuracy",
    "classes",
    "train_images",
    "valid_images",
    "batch_images",
    "batch_agreement",
    "pretrained",
    "seconds",
]


def item(number, predicted="cat"):
    record = {"seq": number, "image_id": None, "name": "x", "sha256": f"sha{number}", "true_label": "cat"}
    return {**record, "predicted_label": predicted, "score": 0.9, "loss": 0.1}


@pytest.fixture
def journey(service, monkeypatch, tmp_path):
    """A service on which everything goes well from ImageNet weights."""

    @contextmanager
    def ours(_folder):
        with Client() as client:
            yield client

    monkeypatch.setattr(demo, "service", ours)
    (tmp_path / "pets/cat").mkdir(parents=True)
    (tmp_path / "pets/cat/1.png").write_bytes(b"1")
    classes = [{"label": "cat", "images": 5}, {"label": "dog", "images": 6}, {"label": None, "images": 50}]
    full = dataset("demo", images=61, classes=classes, splits={"test": 1})
    service.answer("POST", "/v1/datasets", Answer(full, 201))
    service.answer("GET", "/v1/datasets/dst_1", full)
    service.answer("GET", "/v1/limits", {})
    service.answer("POST", "/v1/datasets/dst_1/images/check", {"known": []})
    sent = {"accepted": 1, "duplicates": 0, "rejected": 0, "files": [{"name": "cat/1.png", "verdict": "accepted"}]}
    service.answer("POST", "/v1/datasets/dst_1/images", sent)
    service.answer("POST", "/v1/trainings", lambda asked: job("succeeded", result=RESULT, request=asked.json))
    service.answer("GET", "/v1/evaluations/evl_1", evaluation())
    service.answer("GET", "/v1/evaluations/evl_1/confusion.png", b"\x89PNG")
    service.answer(
        "GET", "/v1/evaluations/evl_1/items", page(item(0), item(1), cursor="x"), page(item(2), item(3, "dog"))
    )
    counts = {"total": 4, "queued": 0, "succeeded": 4, "errored": 0}
    service.answer("POST", "/v1/batches", job("succeeded", "bat_1", "batch", counts=counts))
    found = [prediction(f"{number}.png", image={"sha256": f"sha{number}"}) for number in range(3)]
    found.append(prediction("3.png", "dog", image={"sha256": "sha3"}))
    service.answer("GET", "/v1/batches/bat_1/results", lines(*found))
    return tmp_path


def test_the_last_line_holds_the_figures(service, run, journey):
    result = run("demo", "--data", journey / "pets", "--output", journey / "output")
    assert result.exit_code == 0, result.stderr
    (line,) = result.stdout.splitlines()
    figures = json.loads(line)
    assert list(figures) == KEYS
    assert figures | {"seconds": 0} == {
        "accuracy": 0.75,
        "classes": 2,
        "train_images": 6,
        "valid_images": 4,
        "batch_images": 4,
        "batch_agreement": 1.0,
        "pretrained": True,
        "seconds": 0,
    }
    assert service.asked_for("POST", "/v1/batches")[0].json["input"] == {"dataset": "dst_1", "split": "valid"}


def test_a_person_reads_along_on_standard_error(run, journey):
    told = run("demo", "--data", journey / "pets", "--output", journey / "output").stderr
    assert "ImageNet weights: used" in told
    assert "true \\ predicted" in told
    assert "cat 0.900  dog 0.100" in told
    assert (journey / "output/confusion.png").read_bytes() == b"\x89PNG"


@pytest.mark.parametrize(
    "refusal", [failed("weights_unavailable"), problem(422, "weights_unavailable", "None of them can have these.")]
)
def test_without_weights_random_ones_are_asked_for_in_so_many_words(service, run, journey, refusal):
    def train(asked):
        wants_weights = asked.json["recipe"]["pretrained"]
        return refusal if wants_weights else job("succeeded", result=RESULT, request=asked.json)

    service.answer("POST", "/v1/trainings", train)
    result = run("demo", "--data", journey / "pets", "--output", journey / "output")
    assert result.exit_code == 0
    assert "ImageNet weights: unreachable here; training from random weights, as this demo asks for" in result.stderr
    assert json.loads(result.stdout)["pretrained"] is False


def test_another_failure_is_no_reason_to_try_again(service, run, journey):
    service.answer("POST", "/v1/trainings", failed("dataset_too_small"))
    result = run("demo", "--data", journey / "pets", "--output", journey / "output")
    assert result.exit_code == 5
    assert len(service.asked_for("POST", "/v1/trainings")) == 1
    assert "ImageNet weights: used" not in result.stderr
    assert result.stdout == ""


def test_a_batch_that_does_not_agree_fails_the_demo(service, run, journey):
    found = [prediction(f"{number}.png", "dog", image={"sha256": f"sha{number}"}) for number in range(4)]
    service.answer("GET", "/v1/batches/bat_1/results", lines(*found))
    result = run("demo", "--data", journey / "pets", "--output", journey / "output")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["batch_agreement"] == 0.25


def test_the_workplace_goes_unless_it_is_kept():
    with demo.workplace(keep=False) as folder:
        (folder / "file").touch()
    assert not folder.exists()
    with demo.workplace(keep=True) as folder:
        pass
    folder.rmdir()


def test_digits_are_written_by_the_engine(tmp_path):
    folder = demo.write_digits(tmp_path / "digits")
    assert len(list(folder.glob("*/*.png"))) == 1797
    assert sorted(path.name for path in folder.iterdir()) == list("0123456789")
