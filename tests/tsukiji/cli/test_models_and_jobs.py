import json

from devtools.scripted_service import (
    NOW,
    Answer,
    batch_drift,
    comparison,
    dataset,
    drift,
    evaluation,
    failed,
    job,
    model,
    page,
)

ALIAS = {"object": "alias", "name": "production", "model_id": "mdl_1", "updated_at": NOW}


def test_list_models(service, run):
    service.answer("GET", "/v1/models", page(model(accuracy=0.98765, aliases=["production", "best"])))
    assert run("models", "ls").stdout.splitlines()[1].split("\t")[:4] == ["pets", "0.988", "2", "production, best"]


def test_show_a_model_with_its_evaluation(service, run):
    service.answer("GET", "/v1/models/pets", model())
    service.answer("GET", "/v1/evaluations/evl_1", evaluation())
    shown = run("models", "show", "pets").stdout
    assert "labels\tcat, dog" in shown
    assert "0.75\t4\t0.4" in shown
    assert json.loads(run("models", "show", "pets", "--json").stdout)["id"] == "mdl_1"


def test_a_model_says_how_well_it_tells_none_of_these(service, run):
    service.answer("GET", "/v1/models/pets", model(recipe={"preset": "quick"}))
    given = {"images": 150, "false_acceptances": 0.6, "auroc": 0.75}
    rates = {"method": "nearest_neighbours", "min_known": 0.05, "false_rejections": 0.04, "false_acceptances": 0.7}
    metrics = evaluation()["metrics"] | {"unknown": rates | {"given": given}}
    weak = {"code": "none_of_these_weak", "detail": "It hardly works."}
    service.answer("GET", "/v1/evaluations/evl_1", evaluation(metrics=metrics, warnings=[weak]))
    told = run("models", "show", "pets")
    shown = told.stdout
    assert "preset\tquick" in shown
    assert "known classes, rejected by mistake\t4%" in shown
    assert "unknown classes, accepted by mistake\t70%" in shown
    assert "your pictures of other things, accepted by mistake\t60%" in shown
    assert "warning: It hardly works." in told.stderr
    service.answer("GET", "/v1/evaluations/evl_1", evaluation())
    assert "turned away" not in run("models", "show", "pets").stdout, "a model without known scores"


def test_what_is_not_known_of_a_label_is_a_dash_and_said_first(service, run):
    unknown = {"label": "owl", "precision": None, "recall": None, "f1": None, "support": 0}
    metrics = evaluation()["metrics"] | {"label_names": ["owl"], "confusion": [[0]], "per_class": [unknown]}
    warning = {"code": "labels_unmeasured", "detail": "No image of these labels was measured: owl."}
    service.answer("GET", "/v1/models/pets", model())
    service.answer("GET", "/v1/evaluations/evl_1", evaluation(metrics=metrics, warnings=[warning]))
    result = run("models", "show", "pets")
    assert "owl\t-\t-\t-\t0" in result.stdout
    assert warning["detail"] in result.stderr


def test_many_labels_show_the_commonest_confusions(service, run):
    names = [f"kind {number}" for number in range(20)]
    confusion = [[9 if i == j else 0 for j in range(20)] for i in range(20)]
    confusion[3][4], confusion[5][6] = 1, 2
    metrics = evaluation()["metrics"] | {"label_names": names, "confusion": confusion, "per_class": []}
    service.answer("GET", "/v1/models/pets", model())
    service.answer("GET", "/v1/evaluations/evl_1", evaluation(metrics=metrics))
    assert run("models", "show", "pets").stdout.splitlines()[-2:] == ["kind 5\tkind 6\t2", "kind 3\tkind 4\t1"]


def test_a_model_of_several_labels_shows_each_label_against_its_absence(service, run):
    counts = {"average_precision": 0.9, "true_positives": 5, "false_positives": 1, "false_negatives": 2}
    several = {
        "mean_average_precision": 0.85,
        "micro_f1": 0.7,
        "macro_f1": 0.6,
        "hamming_loss": 0.1,
        "empty": 1,
        "empty_found": 1,
        "per_label": [counts | {"label": "cat", "threshold": 0.4, "true_negatives": 9}],
        "co_occurrence": [[7]],
        "predicted_co_occurrence": [[6]],
    }
    metrics = evaluation()["metrics"] | {"confusion": [], "multi_label": several}
    service.answer("GET", "/v1/models/pets", model(kind="multi_label"))
    service.answer("GET", "/v1/evaluations/evl_1", evaluation(metrics=metrics))
    shown = run("models", "show", "pets").stdout
    assert "kind\tmulti_label" in shown
    assert "0.850\t0.700\t0.600\t0.100" in shown
    assert shown.splitlines()[-1] == "cat\t0.400\t0.900\t5\t1\t2\t9"


def test_export(service, run, tmp_path):
    service.answer("GET", "/v1/models/production", model())
    service.answer("GET", "/v1/models/mdl_1/package", b"zipped")
    result = run("models", "export", "production", "-o", tmp_path / "model.zip", "--json")
    assert json.loads(result.stdout) == {"model": "mdl_1", "path": str(tmp_path / "model.zip"), "bytes": 6}
    assert (tmp_path / "model.zip").read_bytes() == b"zipped"


def test_export_as_onnx_waits_for_the_job(service, run, tmp_path):
    service.answer("GET", "/v1/models/pets", model())
    service.answer("POST", "/v1/models/mdl_1/exports", Answer(job("running", "exp_1", "export"), 202))
    service.answer("GET", "/v1/jobs/exp_1", job("succeeded", "exp_1", "export"))
    service.answer("GET", "/v1/models/mdl_1/exports/onnx", b"onnx")
    assert run("models", "export", "pets", "--format", "onnx", "-o", tmp_path / "m.onnx").exit_code == 0
    assert (tmp_path / "m.onnx").read_bytes() == b"onnx"
    service.answer("GET", "/v1/jobs/exp_1", failed("export_failed", "exp_1"))
    result = run("models", "export", "pets", "--format", "onnx", "-o", tmp_path / "no.onnx")
    assert result.exit_code == 5
    assert not (tmp_path / "no.onnx").exists()


def test_import_a_package(service, run, tmp_path):
    (tmp_path / "fish.zip").write_bytes(b"zipped")
    service.answer("POST", "/v1/models", Answer(model(imported_from="mdl_far"), 201))
    result = run("models", "import", tmp_path / "fish.zip", "--name", "eels")
    assert "imported from\tmdl_far" in result.stdout
    assert service.asked[0].field("name") == ["eels"]
    assert run("models", "import", tmp_path / "no.zip").exit_code == 1


def test_export_to_a_place_that_is_not_there(service, run, tmp_path):
    service.answer("GET", "/v1/models/pets", model())
    service.answer("GET", "/v1/models/mdl_1/package", b"zipped")
    assert run("models", "export", "pets", "-o", tmp_path / "no/model.zip").exit_code == 1


def test_remove_a_model(service, run):
    service.answer("GET", "/v1/models/pets", model())
    service.answer("DELETE", "/v1/models/mdl_1", Answer(b"", 204))
    assert run("models", "rm", "pets").exit_code == 2
    assert run("models", "rm", "pets", "-y").exit_code == 0


def test_alias_sets_looks_up_lists_and_takes_away(service, run):
    service.answer("PUT", "/v1/aliases/production", ALIAS)
    service.answer("GET", "/v1/aliases/production", ALIAS)
    service.answer("GET", "/v1/aliases", page(ALIAS))
    service.answer("DELETE", "/v1/aliases/production", Answer(b"", 204))
    for arguments in (["production", "mdl_1"], ["production"], []):
        assert json.loads(run("models", "alias", *arguments, "--json").stdout)["model_id"] == "mdl_1"
    assert run("models", "alias", "production", "--rm").exit_code == 0
    assert service.asked[-1].method == "DELETE"
    assert run("models", "alias", "--rm").exit_code == 2


def test_promote_and_roll_back(service, run):
    service.answer("PUT", "/v1/aliases/production", ALIAS)
    service.answer("POST", "/v1/aliases/production/rollback", {**ALIAS, "model_id": "mdl_0"})
    assert run("models", "promote", "pets", "production").stdout.splitlines()[1].split("\t")[:2] == [
        "production",
        "mdl_1",
    ]
    assert service.asked[0].json == {"model": "pets"}
    assert json.loads(run("models", "rollback", "production", "--json").stdout)["model_id"] == "mdl_0"


def evaluated(service, **members):
    service.answer("POST", "/v1/evaluations", Answer(job("queued", "evj_1", "evaluation"), 202))
    service.answer("GET", "/v1/jobs/evj_1", job("succeeded", "evj_1", "evaluation", result={"evaluation_id": "evl_1"}))
    service.answer("GET", "/v1/evaluations/evl_1", evaluation(**members))


def test_evaluate_waits_and_prints(service, run):
    warnings = [{"code": "seen_in_training", "detail": "The model learnt from 3 of these images."}]
    evaluated(service, warnings=warnings, seen_in_training=3, errored=2)
    result = run("models", "evaluate", "production", "--dataset", "pets", "--split", "test")
    assert service.asked[0].json == {"model": "production", "dataset": "pets", "split": "test", "metadata": {}}
    assert "images left out\t2" in result.stdout
    assert "0.75\t4\t0.4" in result.stdout
    assert "warning: The model learnt from 3" in result.stderr
    printed = run("models", "evaluate", "production", "--dataset", "pets", "--json").stdout
    assert json.loads(printed)["id"] == "evl_1"


def test_evaluate_that_fails(service, run):
    service.answer("POST", "/v1/evaluations", Answer(job("queued", "evj_1", "evaluation"), 202))
    service.answer("GET", "/v1/jobs/evj_1", failed("labels_unknown", "evj_1"))
    result = run("models", "evaluate", "production", "--dataset", "pets")
    assert result.exit_code == 5
    assert "labels_unknown" in result.stderr
    assert run("models", "evaluate", "production", "--dataset", "pets", "--split", "half").exit_code == 2


def test_compare_models_by_their_own_evaluations(service, run):
    service.answer("GET", "/v1/models/production", model())
    service.answer("GET", "/v1/evaluations/compare", comparison())
    shown = run("models", "compare", "production", "evl_2").stdout
    assert service.asked[-1].query == {"a": ["evl_1"], "b": ["evl_2"]}
    assert "summary\t-2.5 points, p = 0.5, 1 class worse" in shown
    assert "dog\t20\t18\t17\t-0.050\t1.000" in shown
    assert json.loads(run("models", "compare", "evl_1", "evl_2", "--json").stdout)["changed"] == 3


def test_compare_models_on_a_data_set(service, run):
    evaluated(service)
    service.answer("GET", "/v1/evaluations/compare", comparison())
    assert run("models", "compare", "old", "new", "--dataset", "pets", "--split", "test").exit_code == 0
    asked = [started.json["model"] for started in service.asked_for("POST", "/v1/evaluations")]
    assert asked == ["old", "new"]
    assert run("models", "compare", "old", "new", "--split", "test").exit_code == 2


def test_compare_with_a_model_that_was_never_measured(service, run):
    service.answer("GET", "/v1/models/new", model(evaluation_id=None))
    result = run("models", "compare", "new", "evl_1")
    assert result.exit_code == 2
    assert "--dataset" in result.stderr


def test_list_jobs_by_kind_and_status(service, run):
    service.answer("GET", "/v1/jobs", page(job("running")))
    head, line = run("jobs", "ls", "--kind", "training", "--status", "running").stdout.splitlines()[:2]
    assert head.split("\t")[1:3] == ["data set", "model"]
    assert line.split("\t")[3:6] == ["running", "50%", "-"]
    assert service.asked[0].query == {"kind": ["training"], "status": ["running"]}


def test_show_a_job_with_its_error(service, run):
    service.answer("GET", "/v1/jobs/trn_1", failed("nan_loss", attempt=2))
    shown = run("jobs", "show", "trn_1").stdout.splitlines()
    assert "error\tnan_loss: it was nan_loss" in shown
    assert "attempt\t2" in shown


def test_cancel_is_a_request(service, run):
    service.answer("POST", "/v1/jobs/trn_1/cancel", job("cancelling"))
    result = run("jobs", "cancel", "trn_1", "--json")
    assert json.loads(result.stdout)["status"] == "cancelling"
    assert "tsukiji jobs watch trn_1" in result.stderr


def test_item_errors_of_a_watched_batch(service, run):
    counts = {"total": 2, "queued": 0, "succeeded": 1, "errored": 1}
    service.answer("GET", "/v1/jobs/bat_1", job("succeeded", "bat_1", "batch", counts=counts))
    assert run("jobs", "watch", "bat_1", "--fail-on-item-error").exit_code == 8
    assert "images errored\t1" in run("jobs", "watch", "bat_1").stdout


def test_suspected_labels(service, run):
    row = {"rank": 1, "image_id": "img_1", "name": "rex.png", "sha256": "0" * 64, "split": "valid", "label": "cat"}
    service.answer("GET", "/v1/models/pets", model())
    service.answer("GET", "/v1/models/mdl_1/suspects", page(row | {"suggested_label": "dog", "score": 0.125}))
    lines = run("models", "suspects", "pets").stdout.splitlines()
    assert lines[1].split("\t") == ["rex.png", "cat", "dog", "0.125", "valid"]
    assert json.loads(run("models", "suspects", "pets", "--json").stdout)["suggested_label"] == "dog"


def test_jobs_are_listed_with_the_names_of_data_set_and_model(service, run):
    training = job("running", request={"dataset": "dst_1", "dataset_name": "pets", "name": "best pets"})
    batch = job(
        "running", "bat_1", "batch", request={"model": "mdl_1", "model_name": "pets", "input": {"dataset": "dst_1"}}
    )
    gone = job("running", "imp_1", "import", request={"dataset": "dst_2"})
    service.answer("GET", "/v1/jobs", page(training, batch, batch, gone))
    service.answer("GET", "/v1/datasets/dst_1", dataset("my pets"))
    rows = [line.split("\t")[1:3] for line in run("jobs", "ls").stdout.splitlines()[1:]]
    assert rows == [["pets", "best pets"], ["my pets", "pets"], ["my pets", "pets"], ["dst_2", "-"]]
    assert len(service.asked_for("GET", "/v1/datasets/dst_1")) == 1, "a name is asked for once"


def test_mistakes_are_the_images_that_are_named_wrongly(service, run):
    right = {"seq": 0, "image_id": "img_1", "name": "a.png", "sha256": "0", "score": 0.9, "loss": 3.0}
    right |= {"true_label": "cat", "true_labels": ["cat"], "predicted_label": "cat", "predicted_labels": ["cat"]}
    wrong = right | {"name": "b.png", "predicted_label": "dog", "predicted_labels": ["dog"]}
    service.answer("GET", "/v1/models/pets", model())
    service.answer("GET", "/v1/evaluations/evl_1", evaluation())
    service.answer("GET", "/v1/evaluations/evl_1/items", page(right, wrong))
    assert run("models", "mistakes", "pets").stdout.splitlines() == [
        "image\tis\ttaken for\tscore\tloss",
        "b.png\tcat\tdog\t0.900\t3.000",
    ]
    assert service.asked[-1].query["order"] == ["loss"]
    service.answer("GET", "/v1/models/pets", model(evaluation_id=None))
    assert "tsukiji models evaluate MODEL" in run("models", "mistakes", "pets").stderr


def test_the_drift_of_a_model_and_one_that_knows_no_held_out_pictures(service, run):
    service.answer("GET", "/v1/models/pets", model())
    service.answer(
        "GET", "/v1/models/mdl_1/drift", drift(batch_drift(strange=9, exceeded=True), batch_drift(strange=1))
    )
    lines = run("models", "drift", "pets").stdout.splitlines()
    assert [line.split("\t")[1:5] for line in lines[1:]] == [["40", "9", "2.040", "DRIFT"], ["40", "1", "2.040", "-"]]
    assert json.loads(run("models", "drift", "pets", "--json").stdout)["held_out"]["images"] == 80
    service.answer("GET", "/v1/models/mdl_1/drift", drift(batch_drift(expected=None), held_out=None))
    assert "earlier version" in run("models", "drift", "pets").stderr
