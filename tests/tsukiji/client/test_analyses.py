from devtools.scripted_service import NOW, Answer, dataset, job, page
from tsukiji.client import AnalysisJob

DATASET = "/v1/datasets/dst_1"
FOUND = {"kind": "blurry", "image_id": "img_1", "score": 0.1, "name": "a.jpg", "label": "cat"}
ANALYSIS = {
    "dataset_id": "dst_1",
    "job_id": "ana_1",
    "finished_at": NOW,
    "images": 3,
    "images_since": 0,
    "findings": {"blurry": 1},
    "groups": 0,
}


def test_an_analysis_is_a_job_that_knows_its_result(client, service):
    service.answer("GET", "/v1/datasets/pets", dataset())
    done = job("succeeded", "ana_1", "analysis", result={"dataset_id": "dst_1"})
    service.answer("POST", f"{DATASET}/analyses", Answer(done, 202))
    service.answer("GET", f"{DATASET}/analysis", ANALYSIS)
    service.answer("GET", "/v1/analyses/ana_1", done)
    started = client.datasets.get("pets").analyse(image_size=96)
    assert isinstance(started, AnalysisJob)
    assert service.asked_for("POST", f"{DATASET}/analyses")[0].json == {"image_size": 96}
    assert started.wait().analysis.findings == {"blurry": 1}
    assert client.analyses.get("ana_1").id == "ana_1"


def test_a_job_that_is_not_done_has_no_result(client, service):
    service.answer("GET", "/v1/analyses/ana_1", job("running", "ana_1", "analysis"))
    assert client.analyses.get("ana_1").analysis is None


def test_findings_are_chosen_and_paged(client, service):
    service.answer("GET", "/v1/datasets/pets", dataset())
    finding = FOUND | {"width": 4, "height": 3, "bytes": 9}
    service.answer("GET", f"{DATASET}/findings", page(finding, cursor="next"), page(finding | {"image_id": "img_2"}))
    found = list(client.datasets.get("pets").findings("blurry", label="cat", image="img_1"))
    assert [row.image_id for row in found] == ["img_1", "img_2"]
    asked = service.asked_for("GET", f"{DATASET}/findings")[0].query
    assert asked == {"kind": ["blurry"], "label": ["cat"], "image": ["img_1"]}


def test_before_the_first_analysis_there_is_none(client, service):
    service.answer("GET", "/v1/datasets/pets", dataset())
    service.answer("GET", f"{DATASET}/analysis", Answer({"code": "not_found", "title": "none"}, 404))
    assert client.datasets.get("pets").analysis() is None
