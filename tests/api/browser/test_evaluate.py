"""The matrix with its pictures beside it, the threshold, and a training that is watched."""

import pytest
from playwright.sync_api import expect

from db.jobs import jobs, leases
from db.models import Job
from tests.api.conftest import LABELS
from tests.api.page.test_evaluate import add_model, promises


@pytest.fixture
def images(client, dataset):
    return [row["id"] for row in client.get(f"/v1/datasets/{dataset}/images").json()["data"]]


def test_a_cell_opens_beside_the_matrix_and_its_labels_are_mended_by_keys(signed_in, client, services, dataset, images):
    cells = [("eel", "tuna", images[0]), ("eel", "tuna", images[1]), ("eel", "tuna", images[2]), ("tuna", "tuna", None)]
    made = add_model(services, ["eel", "tuna"], cells, dataset=dataset)
    page = signed_in(f"/models/{made}")
    page.get_by_role("cell").get_by_role("link", name="3", exact=True).click()
    panel = page.locator("#pictures")
    expect(panel.get_by_role("heading")).to_have_text("eel taken for tuna")
    assert "predicted=tuna" in page.url
    page.keyboard.press("1")
    expect(page.get_by_text("Now tuna.")).to_be_visible()
    expect(panel).to_contain_text("2 left")
    page.keyboard.press("x")
    expect(panel).to_contain_text("1 left")
    page.keyboard.press("k")
    expect(panel).to_contain_text("All of these are looked at.")
    kept = [client.get(f"/v1/images/{image}").json() for image in (images[2], images[1], images[0])]
    assert [(row["label"], row["excluded"]) for row in kept] == [("tuna", False), ("eel", True), ("eel", False)]
    assert kept[2]["dismissed"] == ["suspected_label"]
    page.reload()
    expect(panel.locator(f"[data-image={images[0]}]")).to_have_attribute("data-out", "right")
    page.go_back()
    expect(panel.get_by_role("heading")).to_have_text("Worst mistakes")


def test_what_was_decided_at_a_cell_is_undone_newest_first(signed_in, client, services, dataset, images):
    made = add_model(services, ["eel", "tuna"], [("eel", "tuna", image) for image in images[:2]], dataset=dataset)
    page = signed_in(f"/models/{made}?true=eel&predicted=tuna")
    page.locator(f"[data-image={images[0]}]").click()
    page.keyboard.press("x")
    expect(page.get_by_text("Excluded.")).to_be_visible()
    page.keyboard.press("k")
    expect(page.get_by_text("Its label is right")).to_be_visible()
    page.keyboard.press("u")
    expect(page.get_by_text("Undone.")).to_be_visible()
    assert client.get(f"/v1/images/{images[1]}").json()["dismissed"] == []
    page.keyboard.press("u")
    expect(page.get_by_text("Undone.")).to_have_count(2)
    assert client.get(f"/v1/images/{images[0]}").json()["excluded"] is False


def test_the_threshold_moves_coverage_and_accuracy(signed_in, services):
    sweep = [{"threshold": at / 10, "coverage": 1 - at / 10, "accuracy": 0.5 + at / 20} for at in range(10)]
    made = add_model(services, LABELS, [("eel", "eel", None)], further={"sweep": sweep})
    page = signed_in(f"/models/{made}")
    slider = page.get_by_role("slider", name="Threshold")
    expect(page.locator("threshold-slider output")).to_have_text(["0.50", "50.0%", "75.0%"])
    slider.focus()
    page.keyboard.press("End")
    expect(page.locator("threshold-slider output")).to_have_text(["0.90", "10.0%", "95.0%"])


def test_how_many_wrong_labels_moves_what_is_decided(signed_in, services):
    made = add_model(services, LABELS, [("eel", "eel", None)], further=promises())
    page = signed_in(f"/models/{made}")
    slider = page.get_by_role("slider", name="Wrong labels at most")
    shown = page.locator("#promises output")
    expect(shown.first).to_have_text("2%")
    slider.focus()
    page.keyboard.press("End")
    expect(shown).to_have_text(["10%", "100.0%", "0.500"])
    page.keyboard.press("Home")
    expect(shown).to_have_text(["0.5%", "none yet", "–"])


def test_a_training_draws_itself_while_it_runs(signed_in, client, services, dataset):
    training = client.post("/v1/trainings", json={"dataset": dataset}).json()["id"]
    page = signed_in(f"/trainings/{training}")
    expect(page.get_by_text("waiting for a worker")).to_be_visible()
    with services.database.transaction() as session:
        job = leases.claim(session, Job, training, "test", 30)
        epoch = {"epoch": 1, "train_loss": 1.0, "valid_loss": 0.5, "accuracy": 0.9, "seconds": 2.0}
        jobs.record(session, training, "metric", epoch, attempt=job.attempt)
    expect(page.get_by_text("best 90.0%, epoch 1")).to_be_visible()
    page.keyboard.press("f")
    expect(page.get_by_role("button", name="Finishing")).to_be_disabled()
