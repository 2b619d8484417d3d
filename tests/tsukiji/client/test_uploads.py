"""Large files in parts: only what is missing travels."""

import io
import sys
import threading

import pytest

from devtools.scripted_service import Answer, dataset, job, page, problem
from tests.tsukiji.uploads import DATA, PLACE, SHA, record
from tsukiji import APIConnectionError, UnprocessableEntityError


@pytest.fixture
def pets(tmp_path):
    path = tmp_path / "pets.zip"
    path.write_bytes(DATA)
    return path


def put_numbers(service):
    return sorted(int(asked.path.rpartition("/")[2]) for asked in service.asked if asked.method == "PUT")


def test_every_part_once(client, service, kept, pets):
    told = []
    upload = client.uploads.send(pets, lambda done, total: told.append((done, total)))
    assert upload.status == "completed"
    assert b"".join(kept[number] for number in (1, 2, 3)) == DATA
    assert service.asked[0].json == {"name": "pets.zip", "bytes": 2500, "sha256": SHA}
    assert (told[0], told[-1], sorted(told)) == ((0, 2500), (2500, 2500), told)
    assert put_numbers(service) == [1, 2, 3]


def test_what_is_confirmed_is_not_sent_again(client, service, kept, pets):
    kept[2] = DATA[1000:2000]
    told = []
    client.uploads.send(pets, lambda done, total: told.append(done))
    assert put_numbers(service) == [1, 3]
    assert told[0] == 1000
    assert b"".join(kept[number] for number in (1, 2, 3)) == DATA


def test_what_is_complete_already_sends_nothing(client, service, pets):
    service.answer("POST", "/v1/uploads", record(status="completed"))
    assert client.uploads.send(pets).id == "upl_1"
    assert len(service.asked) == 1


def test_a_line_that_breaks_ends_the_run_and_the_next_one_goes_on(client, service, kept, pets):
    keep = service._answers["PUT", f"{PLACE}/parts/3"]
    service.answer("PUT", f"{PLACE}/parts/3", Answer(cut=True))
    with pytest.raises(APIConnectionError):
        client.uploads.send(pets)
    sent = sorted(kept)
    service.asked.clear()
    service.answer("PUT", f"{PLACE}/parts/3", *keep)
    client.uploads.send(pets)
    assert put_numbers(service) == sorted({1, 2, 3} - set(sent))


def test_a_part_that_was_bent_on_its_way_is_sent_again(client, service, kept, pets):
    keep = service._answers["PUT", f"{PLACE}/parts/2"]
    service.answer("PUT", f"{PLACE}/parts/2", problem(422, "digest_mismatch"), *keep)
    client.uploads.send(pets)
    assert put_numbers(service) == [1, 2, 2, 3]


def test_a_part_that_is_refused_for_good(client, service, kept, pets):
    service.answer("PUT", f"{PLACE}/parts/1", problem(422, "digest_mismatch"))
    with pytest.raises(UnprocessableEntityError):
        client.uploads.send(pets)
    assert put_numbers(service).count(1) == 3


def test_no_more_than_three_parts_are_in_memory(client, service, kept, pets, monkeypatch):
    at_once, most, lock = 0, 0, threading.Lock()
    keep = service._answers["PUT", f"{PLACE}/parts/1"][0]

    def count(asked):
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        try:
            return keep(asked)
        finally:
            with lock:
                at_once -= 1

    for number in range(1, 26):
        service.answer("PUT", f"{PLACE}/parts/{number}", count)
    service.answer("POST", "/v1/uploads", record(part_bytes=100, parts_total=25))
    client.uploads.send(pets)
    assert put_numbers(service) == list(range(1, 26))
    assert 1 <= most <= 3


def test_an_empty_file_is_no_upload(client, tmp_path):
    (tmp_path / "empty.zip").touch()
    with pytest.raises(ValueError, match="empty"):
        client.uploads.send(tmp_path / "empty.zip")


def test_get_list_and_delete(client, service):
    service.answer("GET", PLACE, record())
    service.answer("GET", "/v1/uploads", page(record()))
    service.answer("DELETE", PLACE, Answer(status=204))
    upload = client.uploads.get("upl_1")
    assert [found.id for found in client.uploads.list()] == ["upl_1"]
    client.uploads.delete(upload)
    assert service.asked_for("DELETE", PLACE)


def test_a_large_archive_becomes_a_batch_by_parts(client, service, kept, pets, set_both):
    set_both("_batches.BY_PARTS_BYTES", 2500)
    service.answer("POST", "/v1/batches", Answer(job("queued", "bat_1", "batch"), 202))
    client.batches.create(model="pets", archive=pets)
    wanted = {"model": "pets", "top_k": 3, "threshold": 0.0, "input": {"upload": "upl_1"}}
    assert service.asked[-1].json == wanted


def test_many_images_become_a_batch_by_parts_and_the_same_bytes_each_time(client, service, kept, tmp_path, set_both):
    set_both("_batches.BY_PARTS_BYTES", 1)
    (tmp_path / "in").mkdir()
    for number in range(101):
        (tmp_path / "in" / f"{number}.png").write_bytes(b"x")
    service.answer("POST", "/v1/batches", Answer(job("queued", "bat_1", "batch"), 202))
    service.answer("POST", "/v1/uploads", record(status="completed"))
    for _ in range(2):
        client.batches.create(model="pets", images=[tmp_path / "in"])
    first, second = service.asked_for("POST", "/v1/uploads")
    assert first.json == second.json


def test_a_large_archive_is_imported_by_parts(client, service, kept, pets, set_both):
    set_both("_datasets.BY_PARTS_BYTES", 2500)
    service.answer("GET", "/v1/datasets/pets", dataset())
    service.answer("POST", "/v1/datasets/dst_1/imports", Answer(job("queued", "imp_1", "import"), 202))
    assert client.datasets.get("pets").import_archive(pets).id == "imp_1"
    assert service.asked[-1].json == {"upload": "upl_1"}


def test_a_source_is_imported(client, service):
    service.answer("GET", "/v1/datasets/pets", dataset())
    service.answer("POST", "/v1/datasets/dst_1/imports", Answer(job("queued", "imp_1", "import"), 202))
    assert client.datasets.get("pets").import_source("s3://bucket/2026").id == "imp_1"
    assert service.asked[-1].json == {"source": "s3://bucket/2026"}


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_an_upload_shows_its_bytes_where_a_person_reads_along(client, service, kept, pets, monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    client.uploads.send(pets, progress=False)
    assert not sys.stderr.getvalue()
    kept.clear()
    client.uploads.send(pets)
    assert f"{pets.name}: 100% {'█' * 20}" in sys.stderr.getvalue()
