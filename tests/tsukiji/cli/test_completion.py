from threading import Event

import pytest

from devtools.scripted_service import Answer, dataset, model, page
from tsukiji.cli import completion
from tsukiji.cli.completion import complete_dataset, complete_model, complete_source


def test_names_are_offered_each_once_aliases_first(service):
    service.answer(
        "GET", "/v1/aliases", page({"name": "production", "model_id": "m", "updated_at": "2026-11-23T12:00Z"})
    )
    service.answer("GET", "/v1/models", page(model(name="pets"), model(name="pets"), model(name="plants")))
    assert complete_model("") == ["production", "pets", "plants"]
    assert complete_model("pe") == ["pets"]


def test_folders_are_offered_before_data_sets(service, tmp_path, monkeypatch):
    (tmp_path / "pets" / "cat").mkdir(parents=True)
    (tmp_path / "pears.csv").touch()
    monkeypatch.chdir(tmp_path)
    service.answer("GET", "/v1/datasets", page(dataset("peas"), dataset("digits")))
    assert complete_source("pe") == ["pets/", "peas"]
    assert complete_source("pets/") == ["pets/cat/"]
    assert complete_source("no/where") == []


@pytest.mark.parametrize("answer", [Answer(b"no", 500), Answer(b"{}"), Answer(b"", cut=True), Answer(b"no", 401)])
def test_a_service_in_trouble_offers_nothing(service, answer):
    service.answer("GET", "/v1/datasets", answer)
    assert complete_dataset("") == []
    assert len(service.asked) == 1, "and is not asked again"


def test_a_silent_service_is_not_waited_for(service, monkeypatch):
    monkeypatch.setattr(completion, "SECONDS", 0.05)
    asked_no_longer = Event()

    def hang(_asked):
        asked_no_longer.wait(10)
        return page()

    service.answer("GET", "/v1/datasets", hang)
    assert complete_dataset("") == []
    asked_no_longer.set()
