import hashlib
import os
import unicodedata
from pathlib import Path

import pytest

import tsukiji
from devtools.scripted_service import Answer, dataset, job, page, problem

IMAGES = "/v1/datasets/dst_1/images"


def sha256(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def pets(client, service):
    service.answer("GET", "/v1/datasets/pets", dataset())
    service.answer("GET", "/v1/datasets/dst_1", dataset(images=9))
    service.answer("GET", "/v1/limits", {"image_bytes": 100})
    service.answer("POST", f"{IMAGES}/check", lambda _: {"known": []})
    service.answer("POST", IMAGES, accept)
    return client.datasets.get("pets")


def accept(asked):
    files = [name for field, name, _ in asked.parts if field == "files"]
    labels = asked.field("labels") or [None] * len(files)
    assert len(labels) == len(files)
    verdicts = [
        {"name": name, "verdict": "accepted", "label": label} for name, label in zip(files, labels, strict=True)
    ]
    return {"accepted": len(files), "duplicates": 0, "rejected": 0, "files": verdicts}


def write(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())


def test_labels_come_from_folders_and_bytes_arrive_whole(pets, service, tmp_path):
    write(tmp_path, "cat/1.png", "dog/ä 2.png", ".DS_Store", "cat/Thumbs.db")
    result = pets.upload(tmp_path)
    assert [(file.name, file.label, file.verdict) for file in result.files] == [
        ("cat/1.png", "cat", "accepted"),
        ("dog/ä 2.png", "dog", "accepted"),
    ]
    (asked,) = service.asked_for("POST", IMAGES)
    assert [content for field, _, content in asked.parts if field == "files"] == [b"cat/1.png", "dog/ä 2.png".encode()]
    assert pets.images == 9


def test_each_split_is_a_request_and_so_are_the_unlabelled(pets, service, tmp_path):
    write(tmp_path, "train/cat/1.png", "valid/cat/2.png", "3.png")
    assert pets.upload(tmp_path).accepted == 3
    told = {(tuple(asked.field("labels")), tuple(asked.field("split"))) for asked in service.asked_for("POST", IMAGES)}
    assert told == {(("cat",), ("train",)), (("cat",), ("valid",)), ((), ())}


def test_a_kind_named_like_a_split_is_asked_about_until_the_sender_says_what_it_is(pets, tmp_path):
    write(tmp_path, "train/1.png", "plane/2.png")
    result = pets.upload(tmp_path)
    assert [file.label for file in result.files] == ["plane", "train"]
    assert "`--folder train=train`" in result.warnings[0]["detail"]
    assert pets.upload(tmp_path, folders={"train": "label"}).warnings == []
    assert [file.label for file in pets.upload(tmp_path, folders={"train": "train"}).files] == ["plane", None]


def test_what_the_service_knows_is_not_sent(pets, service, tmp_path):
    write(tmp_path, "cat/1.png", "cat/2.png")
    service.answer("POST", f"{IMAGES}/check", lambda asked: {"known": asked.json["sha256"][:1]})
    result = pets.upload(tmp_path)
    assert (result.accepted, result.duplicates) == (1, 1)
    assert sorted(service.asked_for("POST", f"{IMAGES}/check")[0].json["sha256"]) == sorted(
        [sha256(b"cat/1.png"), sha256(b"cat/2.png")]
    )
    assert len(service.asked_for("POST", IMAGES)[0].field("files")) == 1


def test_what_the_service_has_without_a_label_is_sent_with_one(pets, service, tmp_path):
    write(tmp_path, "cat/1.png", "cat/2.png", "3.png")
    bare = {sha256(b"cat/1.png"): None, sha256(b"3.png"): None}
    known = {"known": [*bare, sha256(b"cat/2.png")], "labels": bare}
    service.answer("POST", f"{IMAGES}/check", known)
    pets.upload(tmp_path)
    (asked,) = service.asked_for("POST", IMAGES)
    assert asked.field("labels") == ["cat"]


def test_an_interrupted_folder_goes_on_with_what_is_missing(pets, service, tmp_path, monkeypatch, set_both):
    """The service goes away in the middle, again and again; whatever it had confirmed is not sent again."""
    monkeypatch.setattr("tsukiji.client._files.CHUNK_FILES", 3)
    set_both("_folders.THREADS", 1)
    write(tmp_path, *[f"cat/{number}.png" for number in range(20)])
    kept, sent, left = set(), [], 0

    def take(asked):
        nonlocal left
        left -= 1
        if left < 0:
            return problem(403, "forbidden")  # never tried again, as if the client had died
        found = [content for _, name, content in asked.parts if name]
        sent.extend(found)
        kept.update(map(sha256, found))
        return accept(asked)

    service.answer("POST", IMAGES, take)
    service.answer(
        "POST", f"{IMAGES}/check", lambda asked: {"known": [one for one in asked.json["sha256"] if one in kept]}
    )
    for posts in (2, 0, 3):
        left = posts
        with pytest.raises(tsukiji.PermissionDeniedError):
            pets.upload(tmp_path)
    left = 100
    result = pets.upload(tmp_path)
    assert (result.accepted, result.duplicates) == (5, 15)
    assert sorted(sent) == sorted(f"cat/{number}.png".encode() for number in range(20)), "each was taken once"


def test_requests_hold_a_hundred_files(pets, service, tmp_path):
    write(tmp_path, *[f"cat/{number}.png" for number in range(250)])
    reports = []
    assert pets.upload(tmp_path, lambda done, total: reports.append((done, total))).accepted == 250
    assert sorted(len(asked.field("files")) for asked in service.asked_for("POST", IMAGES)) == [50, 100, 100]
    assert reports[-1] == (250, 250)


def test_too_large_a_file_is_reported_and_not_sent(pets, service, tmp_path):
    write(tmp_path, "cat/1.png")
    (tmp_path / "cat/huge.png").write_bytes(b"x" * 101)
    result = pets.upload(tmp_path)
    assert (result.accepted, result.rejected) == (1, 1)
    assert result.files[1].error.code == "too_many_bytes"
    assert len(service.asked_for("POST", IMAGES)[0].field("files")) == 1


def test_a_file_that_cannot_be_read_does_not_stop_the_others(pets, tmp_path, monkeypatch):
    write(tmp_path, "cat/1.png", "cat/2.png")
    real = hashlib.file_digest

    def refuse(file, name):
        if file.name.endswith("2.png"):
            raise PermissionError(13, "no")
        return real(file, name)

    monkeypatch.setattr(hashlib, "file_digest", refuse)
    result = pets.upload(tmp_path)
    assert [(file.verdict, file.error and file.error.code) for file in result.files] == [
        ("accepted", None),
        ("rejected", "unreadable"),
    ]


def test_a_file_that_vanishes_on_the_way_does_not_stop_the_others(pets, service, tmp_path):
    write(tmp_path, "cat/1.png", "cat/2.png")

    def lose_one(_asked):
        (tmp_path / "cat/1.png").unlink()
        return {"known": []}

    service.answer("POST", f"{IMAGES}/check", lose_one)
    assert [file.verdict for file in pets.upload(tmp_path).files] == ["rejected", "accepted"]


def test_a_refused_request_is_halved_until_the_culprit_stands_alone(pets, service, tmp_path):
    write(tmp_path, *[f"cat/{number}.png" for number in range(8)])

    def refuse_five(asked):
        if any(name == "cat/5.png" for _, name, _ in asked.parts):
            return problem(422, "bad_label", "no such label")
        return accept(asked)

    service.answer("POST", IMAGES, refuse_five)
    result = pets.upload(tmp_path)
    assert (result.accepted, result.rejected) == (7, 1)
    assert result.files[5].error.code == "bad_label"


def test_a_refusal_of_the_data_set_is_an_error(pets, service, tmp_path):
    write(tmp_path, "cat/1.png")
    service.answer("POST", IMAGES, problem(404, "not_found"))
    with pytest.raises(tsukiji.NotFoundError):
        pets.upload(tmp_path)


def test_a_retried_request_carries_its_files_again(pets, service, tmp_path):
    write(tmp_path, "cat/1.png")
    service.answer("POST", IMAGES, problem(503, "busy"), accept)
    assert pets.upload(tmp_path).accepted == 1
    first, second = service.asked_for("POST", IMAGES)
    assert first.field("files") == second.field("files") == ["cat/1.png"]


def test_names_that_are_no_unicode_on_the_disk_are_sent_whole(pets, tmp_path):
    for word in ("pâté", "Äpfel"):
        folder = os.fsencode(tmp_path) + b"/" + word.encode("latin-1")
        os.mkdir(folder)  # noqa: PTH102 - pathlib takes no bytes
        with open(folder + b"/1.png", "wb") as file:  # noqa: PTH123 - pathlib takes no bytes
            file.write(b"x")
    write(tmp_path, "寿司/1.png")
    result = pets.upload(tmp_path)
    assert {file.name: file.label for file in result.files} == {
        "pâté/1.png": "pâté",
        "Äpfel/1.png": "Äpfel",
        "寿司/1.png": "寿司",
    }
    assert codes(result.warnings)["names_guessed"][0] == 2


def test_a_folder_that_is_none(pets, tmp_path):
    with pytest.raises(NotADirectoryError):
        pets.upload(tmp_path / "missing")


def test_import_streams_the_zip(pets, service, tmp_path):
    archive = tmp_path / "pets.zip"
    archive.write_bytes(os.urandom(300_000))
    path = "/v1/datasets/dst_1/imports"
    service.answer("POST", path, problem(503, "busy"), Answer(job("queued", "imp_1", "import"), 202))
    service.answer("GET", "/v1/imports/imp_1/items", page({"name": "x", "verdict": "rejected"}))
    found = pets.import_archive(archive)
    asked = service.asked_for("POST", path)[-1]
    assert asked.body == archive.read_bytes()
    assert asked.headers["content-type"] == "application/zip"
    assert [item.name for item in found.items("rejected")] == ["x"]
    assert service.asked[-1].query == {"verdict": ["rejected"]}


def test_what_became_of_an_import(client, service, tmp_path):
    service.answer("GET", "/v1/imports/imp_1", job("succeeded", "imp_1", "import"))
    errors = [{"code": "truncated", "images": 2}]
    service.answer(
        "GET", "/v1/imports/imp_1/summary", {"accepted": 1, "duplicates": 0, "rejected": 2, "errors": errors}
    )
    service.answer("GET", "/v1/imports/imp_1/items", page({"name": "x", "verdict": "rejected"}))
    service.answer("GET", "/v1/imports/imp_1/results", b"the verdicts")
    found = client.imports.get("imp_1")
    assert [(row.code, row.images) for row in found.summary().errors] == [("truncated", 2)]
    assert [item.name for item in found.items(error="truncated")] == ["x"]
    assert service.asked[-1].query == {"error": ["truncated"]}
    assert found.download(tmp_path / "v.jsonl", "rejected").read_bytes() == b"the verdicts"
    assert (service.asked[-1].query, service.asked[-1].headers["accept"]) == (
        {"verdict": ["rejected"]},
        "application/jsonl",
    )
    with pytest.raises(ValueError, match=r"\.csv, \.jsonl"):
        found.download(tmp_path / "v.xlsx")


def test_addresses_are_fetched_by_the_service(pets, service):
    path = "/v1/datasets/dst_1/imports"
    service.answer("POST", path, Answer(job("queued", "imp_1", "import"), 202))
    pets.import_urls(iter(["http://photos.example/1.jpg"]), label="bear", split="test", columns={})
    wanted = {"urls": ["http://photos.example/1.jpg"], "label": "bear", "split": "test"}
    assert service.asked_for("POST", path)[0].json == wanted


def test_exist_ok_returns_the_one_that_is_there(client, service):
    service.answer("GET", "/v1/datasets/pets", dataset(images=5))
    assert client.datasets.create("pets", exist_ok=True).images == 5
    service.answer("POST", "/v1/datasets", dataset("new"))
    assert client.datasets.create("new", exist_ok=True).name == "new"


def test_labels_of_folders_are_trimmed_and_those_that_look_alike_are_told(pets, service, tmp_path):
    service.answer("GET", "/v1/datasets/dst_1", dataset(classes=[{"label": "Cat", "images": 1}]))
    write(tmp_path, "cat /1.png", "cat\u200b/2.png", "\u00a0dog/3.png", "dog/4.png")
    service.answer("POST", IMAGES, lambda asked: labelled(accept(asked)))
    result = pets.upload(tmp_path)
    assert {file.label for file in result.files} == {"cat", "dog"}
    assert [warning["code"] for warning in result.warnings] == ["labels_alike"]
    assert "'Cat', 'cat'" in result.warnings[0]["detail"]


def labelled(answer):
    return answer | {"files": [file | {"labels": [file["label"]]} for file in answer["files"]]}


def codes(warnings):
    return {warning["code"]: (warning["count"], warning["names"]) for warning in warnings}


def test_links_are_followed_and_those_that_lead_nowhere_are_told(pets, service, tmp_path):
    write(tmp_path, "real/cats/1.png", "real/2.png", "pets/dog/3.png")
    (tmp_path / "pets/cat").symlink_to("../real/cats")
    (tmp_path / "pets/dog/2.png").symlink_to("../../real/2.png")
    (tmp_path / "pets/bee").symlink_to("../nowhere")
    (tmp_path / "pets/dog/w.png").symlink_to("/nowhere/x.png")
    (tmp_path / "real/cats/all").symlink_to("../../pets")  # a cycle
    (tmp_path / "pets/itself").symlink_to("itself")
    result = pets.upload(tmp_path / "pets")
    assert {file.name: file.label for file in result.files} == {
        "cat/1.png": "cat",
        "dog/2.png": "dog",
        "dog/3.png": "dog",
    }
    assert codes(result.warnings) == {"links_passed_over": (4, ["bee", "cat/all", "dog/w.png", "itself"])}


def test_what_devices_leave_behind_is_not_sent_and_counted(pets, service, tmp_path):
    write(
        tmp_path,
        "cat/1.png",
        "cat/@eaDir/1.png/THUMB.png",
        "cat/Icon\r",
        "#recycle/old.png",
        "$RECYCLE.BIN/S-1-5/$R1.png",
    )
    result = pets.upload(tmp_path)
    assert [file.name for file in result.files] == ["cat/1.png"]
    assert codes(result.warnings)["leftovers_passed_over"][0] == 4
    assert "@eaDir" in result.warnings[0]["detail"]


def test_a_folder_that_cannot_be_read_is_told(pets, tmp_path, monkeypatch):
    write(tmp_path, "cat/1.png", "dog/2.png")
    real = Path.iterdir

    def deny(folder):
        if folder.name == "dog":
            raise PermissionError(13, "Permission denied")
        return real(folder)

    monkeypatch.setattr(Path, "iterdir", deny)
    result = pets.upload(tmp_path)
    assert [file.name for file in result.files] == ["cat/1.png"]
    assert codes(result.warnings) == {"folders_passed_over": (1, ["dog"])}


def test_a_folder_of_nothing_but_leftovers_says_so(pets, tmp_path):
    write(tmp_path, "@eaDir/1.png")
    with pytest.raises(ValueError, match="@eaDir"):
        pets.upload(tmp_path)


def test_a_table_finds_files_whose_names_are_decomposed(pets, tmp_path):
    write(tmp_path, unicodedata.normalize("NFD", "photos/pâté.png"))
    (tmp_path / "labels.csv").write_text(unicodedata.normalize("NFC", "file,label\nphotos/pâté.png,food\n"))
    assert [(file.name, file.label) for file in pets.upload(tmp_path).files] == [("photos/pâté.png", "food")]


def test_one_group_for_a_folder(pets, service, tmp_path):
    write(tmp_path, "cat/1.png", "cat/2.png")
    pets.upload(tmp_path, group="Felix")
    (asked,) = service.asked_for("POST", IMAGES)
    assert asked.field("group") == ["Felix"]


def test_a_group_for_each_file(pets, service, tmp_path):
    write(tmp_path, "cat/felix-1.png", "cat/tom-1.png", "cat/unknown.png")
    pets.upload(tmp_path, group=lambda name: name.split("/")[1].split("-")[0] if "-" in name else None)
    (asked,) = service.asked_for("POST", IMAGES)
    assert asked.field("groups") == ["felix", "tom", ""]


def test_copies_are_sent_with_the_labels_of_all_their_folders(client, pets, service, tmp_path):
    service.answer("GET", "/v1/datasets/pets", dataset(kind="multi_label"))
    for name in ("ant/1.png", "bee/1.png", "ant+wasp/2.png", "+/3.png"):
        write(tmp_path, name)
    (tmp_path / "bee/1.png").write_bytes((tmp_path / "ant/1.png").read_bytes())
    client.datasets.get("pets").upload(tmp_path)
    sent = {
        name: label
        for asked in service.asked_for("POST", IMAGES)
        for name, label in zip(
            [name for field, name, _ in asked.parts if field == "files"], asked.field("labels"), strict=True
        )
    }
    assert sent == {
        "ant/1.png": '["ant", "bee"]',
        "bee/1.png": '["ant", "bee"]',
        "ant+wasp/2.png": '["ant", "wasp"]',
        "+/3.png": "[]",
    }


def test_a_known_picture_is_sent_again_only_for_labels_that_it_lacks(client, pets, service, tmp_path):
    service.answer("GET", "/v1/datasets/pets", dataset(kind="multi_label"))
    write(tmp_path, "ant/1.png", "bee/2.png", "wasp/3.png")
    known = {b"ant/1.png": ["ant", "bee"], b"bee/2.png": ["ant"], b"wasp/3.png": None}
    labels = {sha256(content): found for content, found in known.items()}
    service.answer("POST", f"{IMAGES}/check", lambda _: {"known": list(labels), "labels": labels})
    result = client.datasets.get("pets").upload(tmp_path)
    verdicts = {file.name: file.verdict for file in result.files}
    assert verdicts == {"ant/1.png": "duplicate", "bee/2.png": "accepted", "wasp/3.png": "accepted"}


def test_a_data_set_of_the_other_kind_is_not_taken_for_it(client, pets, service):
    with pytest.raises(ValueError, match="single_label"):
        client.datasets.create("pets", kind="multi_label", exist_ok=True)


def test_a_crop_that_a_table_tells_goes_with_its_picture(pets, service, tmp_path):
    write(tmp_path, "cat/1.png", "cat/2.png")
    (tmp_path / "tsukiji.jsonl").write_text('{"file_name": "cat/2.png", "label": "cat", "crop": [1, 2, 3, 4]}\n')
    pets.upload(tmp_path)
    (asked,) = service.asked_for("POST", IMAGES)
    names = [name for field, name, _ in asked.parts if field == "files"]
    assert dict(zip(names, asked.field("crops"), strict=True)) == {"cat/1.png": "", "cat/2.png": "[1, 2, 3, 4]"}


def test_a_picture_in_two_class_folders_is_the_first_by_path_and_that_is_told(pets, service, tmp_path):
    """However the requests overtake each other: the copies go when the firsts are there."""
    write(tmp_path, "cat/1.png", "dog/2.png", "eel/3.png")
    (tmp_path / "eel" / "1 again.png").write_bytes(b"cat/1.png")
    (tmp_path / "ant").mkdir()
    (tmp_path / "ant" / "2 too.png").write_bytes(b"dog/2.png")
    result = pets.upload(tmp_path)
    sent = [[name for field, name, _ in asked.parts if field == "files"] for asked in service.asked_for("POST", IMAGES)]
    assert sent == [["ant/2 too.png", "cat/1.png", "eel/3.png"], ["dog/2.png", "eel/1 again.png"]]
    (warning,) = [one for one in result.warnings if one["code"] == "conflicting_labels"]
    assert "2 pictures came under two labels" in warning["detail"]
    assert "'ant/2 too.png'" in warning["detail"]
    assert "'dog/2.png'" in warning["detail"]


def test_a_picture_twice_in_one_class_folder_is_no_conflict(pets, service, tmp_path):
    write(tmp_path, "cat/1.png")
    (tmp_path / "cat" / "2.png").write_bytes(b"cat/1.png")
    assert pets.upload(tmp_path).warnings == []
