"""Batches on Ray: two nodes on this machine say what the service says, picture by picture."""

import io
import json
import zipfile

import pytest
from pyarrow import parquet

from db.jobs import jobs
from db.paging import Window
from db.predictions.decisions import Rule
from db.stored_results import page as stored_page
from tests.worker.conftest import picture, run_chunks, work
from tsukiji.errors import BatchEmpty
from tsukiji.ingest.skipped import SkippedFiles
from tsukiji.kernel.settings import SourceSettings
from tsukiji.types import PartReport
from tsukiji.types.batches import MIN_KNOWN
from worker.jobs.batches import plan

ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")
ray_batches = pytest.importorskip("worker.ray_batches", reason="the extra `ray` is not installed")

IMAGES = 23


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Ray with a node beside the head, each of one processor."""
    from ray.cluster_utils import Cluster  # noqa: PLC0415 - Ray is optional

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.add_node(num_cpus=1)
    yield cluster.address
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(IMAGES):
        picture(number).save(folder / f"{number:02}.png")
    (folder / "bad.jpg").write_bytes(b"no")
    (folder / "notes.txt").write_text("no picture")
    return folder


def order(tmp_path, **more):
    places = {"source": f"file://{tmp_path}/photos", "output": f"file://{tmp_path}/out"}
    return ray_batches.Order(model="pets", **places, **more)


def zipped(folder):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for path in folder.iterdir():
            archive.write(path, path.name)
    return data.getvalue()


@pytest.mark.slow
@pytest.mark.long
def test_two_nodes_say_what_the_service_says(
    cluster, services, submit, model, models, package_folder, photos, tmp_path, monkeypatch
):
    services.settings = services.settings.model_copy(update={"sources": SourceSettings(allowed=[f"file://{photos}"])})
    services.sources = type(services.sources)(services.settings)
    source = {"type": "source", "source": f"file://{photos}"}
    request = {"model": model.id, "label_names": model.label_names, "threshold": 0.5, "input": source}
    job = submit.job("batch", request=request, model_id=model.id)
    work(services, job.id, plan)
    run_chunks(services, models)
    with services.database.reading() as session:
        expected, _ = stored_page(session, None, jobs.find(session, job.id), Window(1000))

    monkeypatch.setattr(ray_batches, "FIRST_LIST", 5)
    monkeypatch.setattr(ray_batches, "LIST_IMAGES", 5)
    asked = order(tmp_path, address=cluster, threshold=0.5)
    cpus = ray_batches.connect(asked)
    assert cpus == 1
    folder = f"file://{tmp_path}/out/batch=bat_1"
    passed = SkippedFiles()
    todo = ray_batches.Work.of(asked, folder, Rule(0.5, MIN_KNOWN), cpus)
    lists = list(ray_batches.put_lists(todo, passed))
    told = list(ray_batches.parts_of(todo, zipped(package_folder), [block for _, block in lists], None))
    assert sorted(one["first_seq"] for one in told) == list(range(0, IMAGES + 1, 5))
    reports = [PartReport(**{name: value for name, value in one.items() if name != "engine"}) for one in told]
    assert sum(report.succeeded for report in reports) == IMAGES
    files = [one["url"].removeprefix("file://") for one in sorted(told, key=lambda one: one["first_seq"])]
    rows = [row for file in files for row in parquet.read_table(file).to_pylist()]
    assert [row["custom_id"] for row in rows] == [row.custom_id for row in expected]
    assert [(row["label"], row["score"], row["known_score"]) for row in rows] == [
        (row.label, row.score, row.known_score) for row in expected
    ]
    assert [row["error"] for row in rows] == [row.error and row.error["code"] for row in expected]
    assert sum(sum(one["errors"].values()) for one in told) == sum(row.error is not None for row in expected) > 0


def test_a_source_without_pictures_is_an_error(tmp_path):
    (tmp_path / "photos").mkdir()
    todo = ray_batches.Work.of(order(tmp_path), f"file://{tmp_path}/out", Rule(0.0, MIN_KNOWN), 1)
    with pytest.raises(BatchEmpty, match="no pictures"):
        list(ray_batches.put_lists(todo, SkippedFiles()))


def test_an_actor_reads_and_writes_s3(s3_endpoint, s3_client, s3_bucket, package_folder, photos, tmp_path, monkeypatch):
    """What an actor does, without a cluster around it."""
    monkeypatch.setenv("TSUKIJI_STORAGE_ENDPOINT_URL", s3_endpoint)
    for path in photos.iterdir():
        s3_client.upload_file(str(path), s3_bucket, f"photos/{path.name}")
    places = {"source": f"s3://{s3_bucket}/photos", "output": f"s3://{s3_bucket}/out"}
    asked = ray_batches.Order(model="pets", **places)
    todo = ray_batches.Work.of(asked, f"{asked.output}/batch=bat_1", Rule(0.0, MIN_KNOWN), 1)
    monkeypatch.setattr(ray, "get", lambda held: held)
    monkeypatch.setattr(ray, "put", lambda made: made)
    actor = ray_batches.Classifier(zipped(package_folder), todo)
    ((images, items),) = ray_batches.put_lists(todo, SkippedFiles())
    (told,) = map(json.loads, actor(items)["told"].to_pylist())
    bucket, key = told["url"].removeprefix("s3://").split("/", 1)
    part = s3_client.get_object(Bucket=bucket, Key=key)["Body"].read()
    rows = parquet.read_table(io.BytesIO(part)).to_pylist()
    assert {row["custom_id"] for row in rows if row["label"]} == {path.name for path in photos.glob("*.png")}
    assert {row["error"] for row in rows} == {None, "not_an_image"}
    assert rows[0]["image"].startswith(places["source"])
    assert (told["succeeded"], len(rows)) == (IMAGES, images)
