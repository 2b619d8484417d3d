import json

import pytest

from devtools.scripted_service import Answer, job, lines, prediction

GOOD = {"total": 2, "queued": 0, "succeeded": 2, "errored": 0}
MIXED = {"total": 2, "queued": 0, "succeeded": 1, "errored": 1}
BROKEN = prediction("b.png", None, status="errored", scores=[], error={"code": "truncated", "title": "cut short"})


@pytest.fixture
def pictures(service, tmp_path):
    (tmp_path / "a.png").write_bytes(b"a")
    (tmp_path / "b.png").write_bytes(b"b")
    service.answer("POST", "/v1/batches", Answer(job("queued", "bat_1", "batch", counts=GOOD), 202))
    service.answer("GET", "/v1/jobs/bat_1", job("succeeded", "bat_1", "batch", counts=GOOD))
    service.answer("GET", "/v1/batches/bat_1/results", lines(prediction("a.png"), prediction("b.png")))
    return tmp_path


def test_waits_and_prints_a_line_for_each(run, pictures):
    result = run("classify", pictures, "--model", "pets")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[1] == "a.png\tcat\tcat 0.900  dog 0.100"
    assert "2 classified, 0 with errors" in result.stderr


def test_json_is_the_results_line_by_line(run, pictures):
    result = run("classify", pictures / "a.png", pictures / "b.png", "-m", "pets", "--json")
    assert [json.loads(line)["custom_id"] for line in result.stdout.splitlines()] == ["a.png", "b.png"]


def test_options_reach_the_service(service, run, pictures):
    run(
        "classify",
        pictures,
        "--model",
        "pets",
        "--top",
        "5",
        "--threshold",
        "0.5",
        "--min-known",
        "0.2",
        "--keep-days",
        "2",
    )
    asked = service.asked[0]
    fields = ("model", "top_k", "threshold", "min_known", "retention_days")
    assert [asked.field(name) for name in fields] == [["pets"], ["5"], ["0.5"], ["0.2"], ["2.0"]]


def test_without_a_wish_the_models_own_threshold_counts(service, run, pictures):
    run("classify", pictures, "--model", "pets")
    assert service.asked[0].field("min_known") == []
    assert run("classify", pictures, "--model", "pets", "--min-known", "1.5").exit_code == 2


def test_a_model_of_several_labels_says_all_of_them(service, run, pictures):
    both = prediction("a.png", decision=None, labels=["cat", "dog"])
    none = prediction("b.png", decision=None, labels=[], abstained=True, abstain_reason="below_threshold")
    service.answer("GET", "/v1/batches/bat_1/results", lines(both, none))
    shown = run("classify", pictures, "--model", "pets").stdout.splitlines()
    assert [line.split("\t")[1] for line in shown[1:]] == ["cat, dog", "no label is sure enough"]


def test_a_picture_of_something_else_is_none_of_these(service, run, pictures):
    strange = prediction("a.png", decision=None, abstained=True, abstain_reason="none_of_these", known_score=0.01)
    service.answer("GET", "/v1/batches/bat_1/results", lines(strange))
    assert run("classify", pictures, "-m", "pets").stdout.splitlines()[1].startswith("a.png\tnone of these\tcat 0.900")


def test_a_picture_that_the_model_is_not_sure_of_is_not_called_none_of_these(service, run, pictures):
    unsure = prediction("a.png", decision=None, abstained=True, abstain_reason="below_threshold")
    service.answer("GET", "/v1/batches/bat_1/results", lines(unsure))
    assert run("classify", pictures, "-m", "pets").stdout.splitlines()[1].startswith("a.png\tnot sure enough\tcat")


@pytest.mark.parametrize(("name", "kind"), [("out.csv", "text/csv"), ("out.jsonl", "application/jsonl")])
def test_output_goes_to_a_file(service, run, pictures, name, kind):
    service.answer("GET", "/v1/batches/bat_1/results", b"content")
    result = run("classify", pictures, "-m", "pets", "-o", pictures / name, "--json")
    assert (pictures / name).read_bytes() == b"content"
    assert service.asked[-1].headers["accept"] == kind
    assert json.loads(result.stdout)["id"] == "bat_1"


def test_an_output_of_another_kind_is_refused_before_anything_is_sent(service, run, pictures):
    assert run("classify", pictures, "-m", "pets", "-o", "out.xlsx").exit_code == 2
    assert not service.asked


def test_no_wait(service, run, pictures):
    result = run("classify", pictures, "-m", "pets", "--no-wait", "--json")
    assert json.loads(result.stdout)["status"] == "queued"
    assert len(service.asked) == 1


def test_bad_pictures_are_listed_and_an_error_if_one_asks(service, run, pictures):
    service.answer("GET", "/v1/jobs/bat_1", job("succeeded", "bat_1", "batch", counts=MIXED))
    service.answer("GET", "/v1/batches/bat_1/results", lines(prediction("a.png"), BROKEN))
    result = run("classify", pictures, "-m", "pets")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[2] == "b.png\t-\ttruncated: cut short"
    assert run("classify", pictures, "-m", "pets", "--fail-on-item-error").exit_code == 8


def test_a_batch_without_a_good_picture_still_lists_the_reasons(service, run, pictures):
    error = {"code": "no_good_item", "title": "none"}
    service.answer("GET", "/v1/jobs/bat_1", job("failed", "bat_1", "batch", error=error))
    service.answer("GET", "/v1/batches/bat_1/results", lines(BROKEN))
    result = run("classify", pictures, "-m", "pets", "--json")
    assert result.exit_code == 5
    assert json.loads(result.stdout)["error"]["code"] == "truncated"


@pytest.mark.parametrize("name", ["more.tar.gz", "more.TAR"])
def test_a_tar_is_an_archive(service, run, pictures, name):
    (pictures / name).write_bytes(b"packed")
    assert run("classify", pictures / name, "-m", "pets").exit_code == 0
    assert service.asked_for("POST", "/v1/batches")[0].body == b"packed"


def test_a_manifest_goes_alone(service, run, pictures):
    (pictures / "m.jsonl").write_bytes(b"{}")
    assert run("classify", pictures / "m.jsonl", pictures / "a.png", "-m", "pets").exit_code == 2
    assert run("classify", pictures / "m.jsonl", "-m", "pets").exit_code == 0
    assert service.asked_for("POST", "/v1/batches")[0].headers["content-type"] == "application/jsonl"


def test_a_source_stands_in_for_paths(service, run, pictures):
    assert run("classify", "-m", "pets").exit_code == 2
    assert run("classify", pictures / "a.png", "--source", "file:///photos", "-m", "pets").exit_code == 2
    assert run("classify", "--source", "file:///photos", "-m", "pets").exit_code == 0
    assert service.asked_for("POST", "/v1/batches")[0].json["input"] == {"source": "file:///photos"}


def test_a_zip_goes_alone(service, run, pictures):
    (pictures / "more.zip").write_bytes(b"zipped")
    assert run("classify", pictures / "more.zip", pictures / "a.png", "-m", "pets").exit_code == 2
    assert run("classify", pictures / "more.zip", "-m", "pets").exit_code == 0
    assert service.asked_for("POST", "/v1/batches")[0].body == b"zipped"


def test_what_is_passed_over_is_told(service, run, pictures):
    (pictures / "notes.txt").write_text("no picture")
    (pictures / "gone").symlink_to("nowhere")
    result = run("classify", pictures, "-m", "pets")
    assert result.exit_code == 0
    assert "notes.txt" in result.stderr
    assert "gone" in result.stderr


def test_what_the_service_passed_over_is_told(service, run, pictures):
    warnings = [{"code": "leftovers_passed_over", "detail": "Left behind: 3 (@eaDir 3).", "count": 3, "names": []}]
    service.answer("GET", "/v1/jobs/bat_1", job("succeeded", "bat_1", "batch", result={"warnings": warnings}))
    (pictures / "more.zip").write_bytes(b"zipped")
    assert "@eaDir 3" in run("classify", pictures / "more.zip", "-m", "pets").stderr


def test_an_archive_is_known_by_its_bytes_and_its_code_page_said(service, run, pictures):
    (pictures / "shots.zip.part").write_bytes(b"PK\5\6" + bytes(18))
    assert run("classify", pictures / "shots.zip.part", "-m", "pets", "--encoding", "cp932").exit_code == 0
    (asked,) = service.asked_for("POST", "/v1/batches")
    assert asked.body.startswith(b"PK")
    assert asked.query["encoding"] == ["cp932"]


def test_a_folder_without_pictures(run, service, tmp_path):
    result = run("classify", tmp_path, "-m", "pets")
    assert result.exit_code == 2
    assert "no pictures" in result.stderr


def test_predict(service, run, pictures):
    answered = job("succeeded", "prd_1", "prediction", result={"predictions": [prediction("a.png"), BROKEN]})
    service.answer("POST", "/v1/models/pets/predict", answered)
    result = run("predict", pictures / "a.png", pictures / "b.png", "-m", "pets", "--top", "2")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[1:] == ["a.png\tcat\tcat 0.900  dog 0.100", "b.png\t-\ttruncated: cut short"]
    assert run("predict", pictures / "b.png", "-m", "pets", "--fail-on-item-error", "--json").exit_code == 8


TAGS = [{"label": "cat", "score": 0.75, "known_score": 0.5, "box": [1, 2, 30, 40]}]
HEATMAP = {"label": "cat", "links": {"png": "/v1/predictions/prd_1/results/0/heatmap.png"}}


def test_tags_are_asked_for_and_printed_with_their_places(service, run, pictures):
    service.answer(
        "GET", "/v1/batches/bat_1/results", lines(prediction("a.png", tags=TAGS), prediction("b.png", tags=[]))
    )
    result = run("classify", pictures, "--model", "pets", "--tags", "--heatmap", "cat")
    assert [service.asked[0].field(name) for name in ("tags", "heatmap")] == [["True"], ["cat"]]
    assert [line.split("\t")[3] for line in result.stdout.splitlines()[1:]] == ["cat 0.750 at 1,2,30,40", "none"]


def test_heatmaps_are_saved_and_those_that_are_withheld_are_told(service, run, pictures, tmp_path):
    withheld = prediction("b.png", seq=1, heatmap={"label": "cat", "withheld": "they mislead"})
    predictions = [prediction("a.png", heatmap=HEATMAP), withheld]
    answered = job("succeeded", "prd_1", "prediction", result={"predictions": predictions})
    service.answer("POST", "/v1/models/pets/predict", answered)
    service.answer("GET", "/v1/predictions/prd_1/results/0/heatmap.png", b"png")
    folder = tmp_path / "maps"
    result = run("predict", pictures / "a.png", pictures / "b.png", "-m", "pets", "--heatmaps-to", folder)
    assert result.exit_code == 0, result.stderr
    assert service.asked[0].field("heatmap") == ["top"]
    assert [path.name for path in folder.iterdir()] == ["00-a.png"]
    assert "they mislead" in result.stderr


def test_bad_pictures_are_listed_with_their_reasons(service, run, pictures, tmp_path):
    error = {"code": "truncated", "title": "cut short"}
    counts = {"total": 30, "queued": 0, "succeeded": 5, "errored": 25}
    service.answer("GET", "/v1/jobs/bat_1", job("succeeded", "bat_1", "batch", counts=counts))
    bad = [{"seq": n, "custom_id": f"{n}.png", "status": "errored", "error": error} for n in range(25)]
    service.answer("GET", "/v1/batches/bat_1/results", lambda asked: lines(*bad) if asked.query.get("status") else b"x")
    told = run("classify", pictures, "-m", "pets", "-o", tmp_path / "out.csv").stderr
    assert "  0.png: truncated: cut short" in told
    assert "  19.png: truncated" in told
    assert "20.png" not in told
    assert "and 5 more: `tsukiji results get bat_1 --status errored` lists all" in told


def test_heatmaps_of_a_batch_are_saved(service, run, tmp_path):
    heatmap = {
        "label": "cat",
        "width": 1,
        "height": 1,
        "values": [[1.0]],
        "links": {"png": "/v1/batches/bat_1/0/heatmap.png"},
    }
    service.answer("GET", "/v1/batches/bat_1", job("succeeded", "bat_1", "batch"))
    service.answer(
        "GET", "/v1/batches/bat_1/results", lines(prediction("cats/a.png", heatmap=heatmap), prediction("b.png"))
    )
    service.answer("GET", "/v1/batches/bat_1/0/heatmap.png", b"png")
    assert run("results", "get", "bat_1", "--heatmaps-to", tmp_path / "maps").exit_code == 0
    assert [file.read_bytes() for file in (tmp_path / "maps").iterdir()] == [b"png"]
    service.answer("GET", "/v1/batches/bat_1/results", lines(prediction("b.png")))
    assert "no heatmaps" in run("results", "get", "bat_1", "--heatmaps-to", tmp_path / "maps").stderr


def guarantee(**members):
    found = {
        "batch_id": "bat_1",
        "model_id": "mdl_1",
        "target_error": 0.02,
        "confidence": 0.95,
        "threshold": 0.8,
        "status": "promised",
        "decided": 300,
        "left": 12,
        "sample": 240,
        "checks": [{"seq": 7, "custom_id": "a.png", "decision": "cat"}],
    }
    return found | members


def test_a_target_is_sent_and_what_was_promised_is_told(service, run, pictures):
    asked = {"target_error": 0.02, "confidence": 0.95, "label_names": ["cat", "dog"]}
    service.answer("GET", "/v1/jobs/bat_1", job("succeeded", "bat_1", "batch", counts=GOOD, request=asked))
    service.answer("GET", "/v1/batches/bat_1/guarantee", guarantee())
    result = run("classify", pictures, "--model", "pets", "--target-error", "0.02", "--prediction-set", "0.9")
    assert (service.asked[0].field("target_error"), service.asked[0].field("prediction_set")) == (["0.02"], ["0.9"])
    assert service.asked[0].field("confidence") == []
    assert "300 decided, 12 left to a person. Promised: at most 2% wrong, with a confidence of 95%" in result.stderr
    assert "`tsukiji results guarantee bat_1` lists 240 to check" in result.stderr
    assert result.stdout.splitlines()[0] == "image\tdecision\tlikeliest\tset"


def test_the_sample_to_check_and_what_it_says(service, run):
    service.answer("GET", "/v1/batches/bat_1", job("succeeded", "bat_1", "batch", counts=GOOD))
    found = guarantee(status="broken", reason="too many", checked=50, wrong=9, interval=[0.06, 0.3])
    service.answer("GET", "/v1/batches/bat_1/guarantee", found)
    result = run("results", "guarantee", "bat_1")
    assert result.stdout.splitlines() == ["image\tdecided", "a.png\tcat"]
    assert "Broken: at most 2% wrong, with a confidence of 95%: too many" in result.stderr
    assert "50 of 240 checked, 9 wrong: 6.0% to 30.0% of all decisions" in result.stderr
    assert json.loads(run("results", "guarantee", "bat_1", "--json").stdout)["status"] == "broken"


def test_results_as_parquet_stay_with_the_service(service, run, pictures):
    request = {"output": {"to": "parquet"}, "label_names": ["cat"]}
    service.answer("GET", "/v1/jobs/bat_1", job("succeeded", "bat_1", "batch", counts=GOOD, request=request))
    result = run("classify", "--source", "s3://photos", "--model", "pets", "--output", "parquet")
    assert result.exit_code == 0
    assert json.loads(service.asked[0].body)["output"] == {"to": "parquet"}
    assert "a.png" not in result.stdout
    assert "2 classified" in result.stderr
