"""An analysis as a worker does it: what is planted is found, once, and only what is new is computed."""

import io
import time

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance
from safetensors.torch import save_file

from db.curation import analyses, datasets
from db.jobs import jobs
from db.jobs.requests import FeaturesRequest
from db.paging import Window
from tests.worker.conftest import work
from tsukiji.jobs import JobKind
from tsukiji.kernel.settings import WeightsSettings
from tsukiji.vision.model import build
from worker.inference.similar_pictures import SimilarPictures
from worker.jobs import analyses as worker_analyses
from worker.jobs import imports as worker_imports
from worker.jobs.analyses import run
from worker.jobs.features import Features


def photo(seed, size=(160, 120)):
    """A picture of soft shapes and fine ones, as photos have, that no other seed gives."""
    random = np.random.default_rng(seed)
    whole = np.zeros((size[1], size[0], 3))
    for cells, strength in ((4, 90), (12, 60), (40, 40), (100, 50)):
        noise = random.integers(0, 256, (cells, cells, 3), dtype=np.uint8)
        whole += strength / 200 * np.asarray(Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC), float)
    return Image.fromarray(whole.clip(0, 255).astype(np.uint8))


def encoded(picture, kind="JPEG", **options):
    file = io.BytesIO()
    picture.save(file, kind, **({"quality": 90} if kind == "JPEG" else {}) | options)
    return file.getvalue()


@pytest.fixture(scope="session")
def random_weights(tmp_path_factory):
    """Weights of a backbone that learnt nothing: enough to compare pictures by."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    save_file(build("resnet18", 2).body_state(), folder / "resnet18.safetensors")
    return folder


@pytest.fixture
def weights(services, random_weights):
    set_weights(services, random_weights)


@pytest.fixture(autouse=True)
def no_weights(services, tmp_path):
    set_weights(services, tmp_path / "none")


def set_weights(services, folder):
    settings = services.settings.model_copy(update={"weights": WeightsSettings(dir=folder, download=False)})
    services.settings = settings


@pytest.fixture
def fill(services, submit, archive):
    """Import files into the data set `pets`."""

    def fill(files, dataset=None):
        blob = services.store.put(archive(files))
        with services.database.transaction() as session:
            dataset = dataset or datasets.create(session, "pets").id
        request = {"dataset": dataset}
        job = submit.job(JobKind.IMPORT, request=request, dataset_id=dataset, upload_sha256=blob.sha256, unit="files")
        work(services, job.id, worker_imports.run)
        return dataset

    return fill


def queue_analysis(session, dataset):
    request = FeaturesRequest(dataset=dataset, backbone="resnet18", image_size=32)
    return jobs.create_once(session, JobKind.ANALYSIS, request, 3)


@pytest.fixture
def analyse(services, submit):
    def analyse(dataset):
        with services.database.transaction() as session:
            job = queue_analysis(session, dataset)
        work(services, job.id, run)
        return submit.find(job)

    return analyse


@pytest.fixture
def found(services):
    def found(dataset, kind=None):
        """Return (name, label, group, suggestion) of the findings of a kind, in order."""
        with services.database.reading() as session:
            rows = analyses.page(session, dataset, Window(500), kind=kind).data
        return [(image.name, row.group_id, row.suggestion) for row, image in rows]

    return found


def copies(picture):
    """The ways in which a picture comes again without being the same file."""
    width, height = picture.size
    return {
        "small": encoded(picture.resize((width // 2, height // 2))),
        "q40": encoded(picture, quality=40),
        "bright": encoded(ImageEnhance.Brightness(picture).enhance(1.25)),
        "cropped": encoded(picture.crop((4, 2, width - 3, height - 5))),
        "other.png": encoded(picture, "PNG"),
    }


def test_copies_are_found_as_groups_with_the_best_to_keep(services, fill, analyse, found):
    files = {f"cat/{seed}.jpg": encoded(photo(seed)) for seed in range(12)}
    for seed in (1, 5):
        files |= {f"cat/{seed}-{name}": data for name, data in copies(photo(seed)).items()}
    dataset = fill(files)
    job = analyse(dataset)
    assert (job.status, job.error) == ("succeeded", None)
    rows = found(dataset, "near_duplicates")
    groups = {}
    for name, group, suggestion in rows:
        groups.setdefault((group, suggestion["keep"]), set()).add(name)
    expected = [{f"cat/{seed}{end}" for end in (".jpg", *(f"-{name}" for name in copies(photo(0))))} for seed in (1, 5)]
    assert sorted(map(sorted, groups.values())) == sorted(map(sorted, expected))
    with services.database.reading() as session:
        kept = {datasets.find_image(session, keep).name for _, keep in groups}
    assert kept == {"cat/1-other.png", "cat/5-other.png"}, "as large as any, and the least compressed"
    assert job.result["findings"]["near_duplicates"] == 12


def test_a_picture_under_two_labels_or_on_both_sides_is_named(fill, analyse, found):
    same, near = encoded(photo(1)), photo(2)
    dataset = fill(
        {
            "train/cat/1.jpg": same,
            "valid/dog/again.jpg": same,
            "train/cat/2.jpg": encoded(near),
            "valid/dog/2.jpg": encoded(near, quality=50),
            "train/cat/3.jpg": encoded(photo(3)),
            "valid/dog/4.jpg": encoded(photo(4)),
        }
    )
    analyse(dataset)
    assert [(name, suggestion) for name, _, suggestion in found(dataset, "exact_duplicates")] == [
        ("train/cat/1.jpg", {"names": [{"name": "valid/dog/again.jpg", "label": "dog"}]})
    ]
    both = {"labels": {"cat": 1, "dog": 1}}
    assert sorted((name, suggestion) for name, _, suggestion in found(dataset, "conflicting_labels")) == [
        ("train/cat/1.jpg", both),
        ("train/cat/2.jpg", both),
        ("valid/dog/2.jpg", both),
    ]
    assert {name: suggestion["split"] for name, _, suggestion in found(dataset, "leaky_splits")} == {
        "train/cat/2.jpg": "train",
        "valid/dog/2.jpg": "train",
    }


def test_poor_pictures_have_the_fields_usual_names(fill, analyse, found):
    good = {f"cat/{seed}.jpg": encoded(photo(seed)) for seed in range(30)}
    poor = {
        "cat/dark.jpg": encoded(ImageEnhance.Brightness(photo(100)).enhance(0.15)),
        "cat/light.png": encoded(photo(101).point(lambda value: 245 + value // 26), "PNG"),
        "cat/blurry.png": encoded(photo(102).resize((5, 4)).resize((160, 120), Image.Resampling.BICUBIC), "PNG"),
        "cat/grey.jpg": encoded(photo(103).convert("L")),
        "cat/long.jpg": encoded(photo(104, (400, 60))),
        "cat/plain.png": encoded(Image.new("RGB", (160, 120), (200, 30, 30)), "PNG"),
        "cat/huge.jpg": encoded(photo(105, (1600, 1200))),
    }
    dataset = fill(good | poor)
    analyse(dataset)
    kinds = {"dark", "light", "blurry", "grayscale", "odd_aspect_ratio", "low_information", "odd_size"}
    named = {kind: {name.split("/")[1].split(".")[0] for name, _, _ in found(dataset, kind)} for kind in kinds}
    assert named["dark"] == {"dark"}
    assert {"light"} <= named["light"] <= {"light", "plain"}
    assert {"blurry"} <= named["blurry"] <= {"blurry", "plain", "light", "dark"}
    assert named["grayscale"] == {"grey"}
    assert named["odd_aspect_ratio"] == {"long"}
    assert {"plain"} <= named["low_information"] <= {"plain", "light", "dark"}
    assert named["odd_size"] == {"huge"}


def test_without_weights_the_rest_is_done_and_the_gap_is_named(services, fill, analyse):
    dataset = fill({f"cat/{seed}.jpg": encoded(photo(seed)) for seed in range(3)})
    job = analyse(dataset)
    assert job.status == "succeeded"
    (gap,) = job.result["unavailable"]
    assert (gap["code"], set(gap["findings"])) == (
        "weights_unavailable",
        {"outlier", "suspected_label", "label_next", "crop"},
    )
    assert gap["hint"]
    with services.database.reading() as session:
        assert analyses.find(session, dataset).unavailable == [gap]


@pytest.mark.slow
def test_features_find_outliers_wrong_labels_and_what_to_label(services, weights, fill, analyse, found):
    def kind(seed, colour):
        tone = Image.new("RGB", (160, 120), colour)
        return encoded(Image.blend(photo(seed), tone, 0.6))

    reds = {f"red/{seed}.jpg": kind(seed, (220, 30, 30)) for seed in range(20)}
    blues = {f"blue/{seed}.jpg": kind(seed + 50, (30, 30, 220)) for seed in range(20)}
    wrong = {"red/wrong.jpg": kind(200, (30, 30, 220))}
    unlabelled = {f"{seed}.jpg": kind(seed + 300, (220, 30, 30)) for seed in range(5)}
    checks = np.indices((120, 160)).sum(0).astype(np.uint8) % 2 * 255
    strange = {"red/strange.png": encoded(Image.fromarray(checks), "PNG")}
    dataset = fill(reds | blues | wrong | unlabelled | strange)
    job = analyse(dataset)
    assert (job.status, job.error, job.result["unavailable"]) == ("succeeded", None, [])
    assert "red/strange.png" in {name for name, _, _ in found(dataset, "outlier")}
    suspects = {name: suggestion for name, _, suggestion in found(dataset, "suspected_label")}
    assert suspects["red/wrong.jpg"]["label"] == "blue"
    with services.database.reading() as session:
        names = {picture.id: picture.name for picture in analyses.pictures(session, dataset)}
    neighbours = [names[image_id] for image_id in suspects["red/wrong.jpg"]["neighbours"]]
    assert len(neighbours) == 6
    assert all(name.startswith("blue/") for name in neighbours)
    assert len(suspects) <= 3
    asked = found(dataset, "label_next")
    assert {name for name, _, _ in asked} == set(unlabelled)
    assert {suggestion["label"] for _, _, suggestion in asked} == {"red"}


@pytest.mark.slow
def test_what_an_analysis_looked_at_is_found_by_the_picture_itself(services, weights, fill, analyse):
    """The body that looks at a picture that is sent is that of the analysis."""
    files = {f"cat/{seed}.jpg": encoded(photo(seed)) for seed in range(6)}
    dataset = fill(files)
    assert analyse(dataset).result["unavailable"] == []
    with services.database.reading() as session:
        names = {picture.id: picture.name for picture in analyses.pictures(session, dataset)}
    similar = SimilarPictures(services)
    query = {"datasets": [dataset], "backbone": "resnet18", "image_size": 32, "limit": 3}
    for name in ("cat/3.jpg", "cat/5.jpg"):
        answer, _ = similar.ask("similar", query, [files[name]])
        (image, cosine), *_ = answer["found"]
        assert (names[image], cosine) == (name, pytest.approx(1, abs=0.005))
        assert (answer["searched"], answer["missing"]) == (6, 0)


@pytest.mark.slow
def test_only_what_is_new_is_measured_and_looked_at(services, weights, fill, analyse, found, monkeypatch):
    files = {f"cat/{seed}.jpg": encoded(photo(seed)) for seed in range(6)}
    dataset = fill(files | {"cat/q.jpg": copies(photo(0))["q40"]})
    assert analyse(dataset).status == "succeeded"
    before = found(dataset)
    measured, looked = [], []
    real_measure, real_compute = worker_analyses.measure_one, Features.compute

    def note_measure(services, image):
        measured.append(image)
        return real_measure(services, image)

    def note_compute(features, pictures, *rest):
        looked.extend(pictures)
        real_compute(features, pictures, *rest)

    monkeypatch.setattr(worker_analyses, "measure_one", note_measure)
    monkeypatch.setattr(Features, "compute", note_compute)
    assert analyse(dataset).status == "succeeded"
    assert (measured, looked) == ([], [])
    assert found(dataset) == before
    fill({"cat/0-small.jpg": copies(photo(0))["small"], "cat/new.jpg": encoded(photo(50))}, dataset)
    assert analyse(dataset).status == "succeeded"
    assert (len(measured), len(looked)) == (2, 2)
    assert {name for name, _, _ in found(dataset, "near_duplicates")} == {"cat/0.jpg", "cat/q.jpg", "cat/0-small.jpg"}


def test_what_was_measured_before_a_crash_is_kept(services, submit, fill, monkeypatch):
    dataset = fill({f"cat/{seed}.jpg": encoded(photo(seed)) for seed in range(6)})
    monkeypatch.setattr(worker_analyses, "COMMIT_PICTURES", 2)
    real, pages = analyses.add_measures, []

    def dies(session, rows):
        pages.append(rows)
        if len(pages) == 2:
            raise RuntimeError("the worker dies")
        real(session, rows)

    with services.database.transaction() as session:
        job = jobs.create_once(
            session, JobKind.ANALYSIS, FeaturesRequest(dataset=dataset, backbone="resnet18", image_size=32), 3
        )
    with monkeypatch.context() as dying:
        dying.setattr(analyses, "add_measures", dies)
        work(services, job.id, run)
    assert submit.find(job).status == "queued"
    with services.database.reading() as session:
        assert len(analyses.unmeasured(session, dataset, "", 10)) == 4
    work(services, job.id, run)
    assert submit.find(job).status == "succeeded"


@pytest.mark.slow
def test_a_picture_whose_bytes_are_gone_costs_only_itself(services, weights, fill, analyse):
    dataset = fill({f"cat/{seed}.jpg": encoded(photo(seed)) for seed in range(4)})
    with services.database.reading() as session:
        lost = datasets.all_images(session, dataset, 10)[0]
    services.store.delete(lost.sha256)
    job = analyse(dataset)
    assert (job.status, job.result["unreadable"], job.result["images"]) == ("succeeded", 1, 4)


def test_a_cancelled_analysis_ends_and_changes_nothing(services, submit, fill, analyse, found):
    dataset = fill({f"cat/{seed}.jpg": encoded(photo(seed)) for seed in range(3)})

    def cancel_when_running(services, job, lease):
        with services.database.transaction() as session:
            jobs.request_cancel(session, job.id)
        while not lease.signals.cancel:  # the lease's thread checks every half second
            time.sleep(0.05)
        run(services, job, lease)

    with services.database.transaction() as session:
        job = jobs.create_once(
            session, JobKind.ANALYSIS, FeaturesRequest(dataset=dataset, backbone="resnet18", image_size=32), 3
        )
    work(services, job.id, cancel_when_running)
    assert submit.find(job).status == "cancelled"
    assert found(dataset) == []


def test_a_data_set_that_vanished_fails_its_analysis(services, submit, fill):
    dataset = fill({"cat/1.jpg": encoded(photo(1))})
    with services.database.transaction() as session:
        job = jobs.create_once(
            session, JobKind.ANALYSIS, FeaturesRequest(dataset=dataset, backbone="resnet18", image_size=32), 3
        )
        datasets.remove(session, dataset)
    work(services, job.id, run)
    assert submit.find(job).status == "failed"
