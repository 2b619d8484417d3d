"""The sample data set."""

from db.jobs import jobs
from db.models import Job


def test_the_sample_is_made_once(client, services):
    made = client.post("/v1/datasets/sample")
    assert made.status_code == 202
    job = made.json()
    assert (job["object"], job["request"]["sample"]) == ("import", True)
    assert services.notifier.sent == ["intake"]
    assert client.get(job["links"]["dataset"]).json()["name"] == "handwritten digits"
    again = client.post("/v1/datasets/sample")
    assert (again.status_code, again.json()["id"]) == (200, job["id"])
    assert services.notifier.sent == ["intake"]


def test_a_sample_that_failed_is_tried_again(client, services):
    job = client.post("/v1/datasets/sample").json()
    with services.database.transaction() as session:
        jobs.change(session, Job.id == job["id"], status="failed")
    again = client.post("/v1/datasets/sample")
    assert again.status_code == 202
    assert again.json()["id"] != job["id"]
    assert again.json()["request"]["dataset"] == job["request"]["dataset"]
