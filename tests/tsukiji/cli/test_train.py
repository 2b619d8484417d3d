import json

from devtools.scripted_service import Answer, evaluation, failed, job
from tests.tsukiji.cli.conftest import RESULT
from tests.tsukiji.cli.terminal import on_a_terminal


def test_prints_how_good_it_is(trained, run):
    result = run("train", "pets")
    assert result.exit_code == 0
    lines = [line.split("\t") for line in result.stdout.splitlines()]
    assert ["model", "pets"] in lines
    assert ["id", "mdl_1"] in lines
    assert ["0.75", "4", "0.4"] in lines
    assert ["dog", "1.00", "0.50", "0.70", "2"] in lines
    assert lines[-2:] == [["cat", "2", "0"], ["dog", "1", "1"]]


def test_epochs_and_warnings_go_to_standard_error(trained, run):
    result = run("train", "pets")
    assert "epoch   1  loss 0.5000  validation loss 0.2500  accuracy 0.7500  3.0 s" in result.stderr
    assert "warning: few images of dog" in result.stderr


def test_json_is_one_object_and_nothing_else(trained, run):
    result = run("train", "pets", "--json")
    (line,) = result.stdout.splitlines()
    assert json.loads(line)["result"] == RESULT


def test_every_option_reaches_the_recipe(trained, run):
    options = "--preset standard --epochs 3 --image-size 64 --batch-size 8 --learning-rate 0.01 --valid-fraction 0.2"
    more = "--seed 7 --backbone resnet18 --no-pretrained --no-flip --class-weights none --name m --no-wait"
    assert run("train", "pets", *options.split(), *more.split()).exit_code == 0
    asked = trained.asked[0].json
    assert (asked["dataset"], asked["name"]) == ("pets", "m")
    assert asked["recipe"] == {
        "preset": "standard",
        "epochs": 3,
        "image_size": 64,
        "batch_size": 8,
        "learning_rate": 0.01,
        "valid_fraction": 0.2,
        "seed": 7,
        "backbone": "resnet18",
        "pretrained": False,
        "flip": False,
        "class_weights": "none",
    }


def test_a_data_set_of_other_things_reaches_the_service(trained, run):
    run("train", "pets", "--unknown", "things", "--resplit", "--no-wait")
    asked = trained.asked[0].json
    assert (asked["unknown"], asked["resplit"]) == ("things", True)


def test_labels_that_may_be_wrong_are_pointed_out(trained, run):
    trained.answer("GET", "/v1/jobs/trn_1", job("succeeded", result=RESULT | {"suspected_labels": 3}))
    assert "3 labels may be wrong: `tsukiji models suspects pets`" in run("train", "pets").stderr


def test_no_wait_returns_at_once(trained, run):
    result = run("train", "pets", "--no-wait", "--json")
    assert json.loads(result.stdout)["status"] == "queued"
    assert trained.asked[0].json["recipe"] == {}
    assert len(trained.asked) == 1


def test_without_events_the_wait_goes_on(trained, run):
    trained.answer("GET", "/v1/jobs/trn_1/events", Answer(b"no", 503, {"x-should-retry": "false"}))
    assert run("train", "pets").exit_code == 0


def test_weights_that_are_missing(trained, run):
    trained.answer("GET", "/v1/jobs/trn_1", failed("weights_unavailable"))
    result = run("train", "pets")
    assert result.exit_code == 5
    assert "weights_unavailable" in result.stderr
    assert "do something else" in result.stderr


def test_on_a_terminal_the_bar_moves(trained):
    progress = {"fraction": 0.5, "unit": "epochs", "completed": 1, "total": 2, "eta_seconds": 61}
    running = Answer(job("running", progress=progress), headers={"Retry-After": "1"})
    trained.answer("GET", "/v1/jobs/trn_1", running, job("succeeded", result=RESULT))
    shown = on_a_terminal("train", "pets")
    assert "epoch 1/1 loss 0.700" in shown
    assert "0:01:01 left" in shown
    assert "true \\ predicted" in shown


def test_no_color_is_obeyed(trained, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    trained.answer("GET", "/v1/jobs/trn_1", failed("nan_loss"))
    assert "\x1b[31m" not in on_a_terminal("train", "pets")
    monkeypatch.delenv("NO_COLOR")
    assert "\x1b[31m" in on_a_terminal("train", "pets")


def test_leakage_is_one_line(trained, run):
    facts = {"near_duplicate_groups": 3, "near_duplicates": 7, "moved": 2, "straddling": 1, "groups": 0}
    trained.answer("GET", "/v1/evaluations/evl_1", evaluation(leakage=facts))
    (line,) = [line for line in run("train", "pets").stdout.splitlines() if line.startswith("leakage")]
    assert "near-duplicates: 7 images in 3 groups" in line
    assert "moved to their group's side: 2; groups on both sides of the split: 1" in line


def test_warnings_are_sentences(trained, run):
    warning = {"code": "few_images", "detail": "Labels with fewer than 50 images: dog (9)."}
    trained.answer("GET", "/v1/jobs/trn_1", job("succeeded", result={**RESULT, "warnings": [warning]}))
    assert "warning: Labels with fewer than 50 images: dog (9)." in run("train", "pets").stderr


def test_resplit_is_asked_for(trained, run):
    assert run("train", "pets", "--resplit", "--no-wait").exit_code == 0
    assert trained.asked[0].json["resplit"] is True
