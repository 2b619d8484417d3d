"""What an export of a data set says, an import reads: labels, sets, splits, groups and crops, in every format."""

import hashlib
import json
import string
import tempfile
import unicodedata
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from api.serialize.dataset_exports import SUFFIX, export
from api.serialize.export_layout import ExportItem
from db.jobs.requests import ImportRequest
from tests.api.conftest import archive, pictures, worker_of
from tests.worker.conftest import work
from tsukiji.ingest.archives import ArchiveLimits, Entry, entries
from tsukiji.kernel.settings import Settings
from tsukiji.kernel.storage.memory import MemoryStore
from tsukiji.labels import clean_label, join_labels
from worker.inputs.import_reader import survey
from worker.inputs.input_files import wanted as kept
from worker.jobs.imports import run

PNG = b"\x89PNG\r\n\x1a\n"
SERVICES = SimpleNamespace(store=MemoryStore(), settings=Settings())
SERVICES.seen_by_caller = lambda _job: SERVICES
JOB = SimpleNamespace(table_sha256=None)
TRICKY = (
    "n/a", "50% off", "what?", "a: b", 'say "hi"', "trailing.", "..", ".hidden", "con", "a+b", "+", "%2B", "n%2Fa",
    "a|b", "a;b", "a, b", "[1]", '["a"]', "{a}", "=1+1", "'=1", "-x", "@home", "'", "train", "test", "valid", "images",
    "data", "Ant", "ant", "nan", "None", "1.0", "__MACOSX", "thumbs.db", "a\\b", "a\u2028b", "e\u0301", "ß", "İ",
    "a\u202eb", "a\u00a0b", "unassigned",
)  # fmt: skip

printable = st.characters(exclude_categories=["Cc", "Cs"])
text = st.sampled_from(string.printable.strip()) | printable


def is_label(word):
    try:
        return 0 < len(clean_label(word)) <= 40
    except ValueError:
        return False


labels = (st.sampled_from(TRICKY) | st.text(text, min_size=1, max_size=6)).filter(is_label).map(clean_label)
sets = st.lists(labels, max_size=4).map(join_labels)
names = st.lists(st.text(text, min_size=1, max_size=5) | st.sampled_from(TRICKY), min_size=1, max_size=3).map("/".join)
edges = st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(10, 99), st.integers(10, 99))


@st.composite
def data_sets(draw):
    """A kind, and the images of a data set of it."""
    kind = draw(st.sampled_from(["single_label", "multi_label"]))
    word = labels if kind == "single_label" else sets
    facts = st.tuples(
        names,
        st.none() | word,
        st.sampled_from([None, "train", "valid", "test"]),
        st.none() | labels,
        st.none() | edges,
    )
    return kind, [image(number, *one) for number, one in enumerate(draw(st.lists(facts, min_size=1, max_size=6)))]


@cache
def stored(number):
    return SERVICES.store.put(PNG + bytes([number])).sha256


def image(number, name, label, split=None, group=None, crop=None):
    return ExportItem(f"img_{number}", stored(number), name, label, split, group, crop)


@contextmanager
def exported(kind, items, wanted):
    """Yield what lists the files of an import: of a zip its own; of a table that, and the pictures by their names."""
    data = b"".join(export(SERVICES, items, wanted, kind))
    if SUFFIX[wanted] == ".zip":
        with tempfile.NamedTemporaryFile(suffix=".zip") as file:
            file.write(data)
            file.flush()
            limits = ArchiveLimits.of(SERVICES.settings.limits)
            yield lambda passed: kept(entries(Path(file.name), limits), passed)
    else:
        pictures = [Entry(item.name, None, partial(SERVICES.store.read, item.sha256)) for item in items]
        yield lambda _: iter([*pictures, Entry(f"labels{SUFFIX[wanted]}", None, lambda: data)])


def read_back(kind, items, wanted):
    """Return what an import knows of each picture."""
    with exported(kind, items, wanted) as files:
        found = survey(SERVICES, JOB, files, ImportRequest(dataset="dst_1"), kind)
        known = {}
        for _, picture in found.after(0):
            place = picture.placement
            assert place.error is None, place.error.detail
            known[hashlib.sha256(picture.read()).hexdigest()] = (place.label, place.split, place.group, place.crop)
    return known


def facts_of(items):
    return {item.sha256: (item.label, item.split, item.group, item.crop) for item in items}


def importable(items):
    """Return the images with names as an import gives them: relative, and no two alike."""
    found = []
    for number, item in enumerate(items):
        last = "".join(char for char in item.name if char not in "/\\:").strip(".") or "x"
        found.append(item._replace(name=f"{number}/{unicodedata.normalize('NFC', last)}.png"))
    return found


def tricky(kind):
    words = map(clean_label, TRICKY)
    return kind, [
        image(number, "x", word if kind == "single_label" else join_labels([word])) for number, word in enumerate(words)
    ]


@given(data_set=data_sets())
@example(tricky("single_label"))
@example(tricky("multi_label"))
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_export_is_read_back(data_set):
    kind, items = data_set
    for wanted in ("imagefolder", "huggingface"):
        assert read_back(kind, items, wanted) == facts_of(items), wanted
    items = importable(items)
    for wanted in ("csv", "jsonl"):
        assert read_back(kind, items, wanted) == facts_of(items), wanted


# --- end to end ------------------------------------------------------------------------------------------------------

SENT = {
    "single_label": ["n/a", "=1+1", "none", "train", "+", ""],
    "multi_label": [["n/a", "a+b"], ["=1+1", "-"], ["a, b"], [], ["ant", "bee"], None],
}


@pytest.fixture
def intake(services):
    """Does the work of an import, on the rows and the bytes of the application."""
    return lambda job_id: work(worker_of(services), job_id, run)


def images_of(client, dataset):
    found = client.get(f"/v1/datasets/{dataset}/images").json()["data"]
    facts = ("label", "labels", "split", "group", "crop")
    return {image["sha256"]: [image[fact] for fact in facts] for image in found}


@pytest.mark.parametrize("kind", list(SENT))
@pytest.mark.parametrize("wanted", ["imagefolder", "huggingface", "csv", "jsonl"])
def test_a_data_set_becomes_another_one_that_is_equal(client, intake, kind, wanted):
    blobs = dict(zip((f"part 1/{number}.png" for number in range(6)), pictures(6), strict=True))
    client.post("/v1/datasets", json={"name": "first", "kind": kind}).raise_for_status()
    for number, ((name, blob), label) in enumerate(zip(blobs.items(), SENT[kind], strict=True)):
        fields = {
            "labels": [label if isinstance(label, str) else json.dumps(label) if label is not None else ""],
            "groups": ["'@sea" if number % 2 else ""],
            "crops": ["[1, 2, 20, 18]" if number < 4 else ""],
            "split": ["train", "valid", "test", "", "train", "test"][number],
        }
        answer = client.post("/v1/datasets/first/images", files=[("files", (name, blob, "image/png"))], data=fields)
        assert answer.json()["accepted"] == 1, answer.text
    first = images_of(client, "first")
    assert len({json.dumps(facts) for facts in first.values()}) == 6

    data = client.get("/v1/datasets/first/export", params={"format": wanted}).content
    if SUFFIX[wanted] != ".zip":
        data = archive(blobs | {f"export{SUFFIX[wanted]}": data})
    client.post("/v1/datasets", json={"name": "second", "kind": kind}).raise_for_status()
    sent = client.post("/v1/datasets/second/imports", content=data, headers={"Content-Type": "application/zip"})
    intake(sent.json()["id"])
    job = client.get(sent.headers["Location"]).json()
    assert (job["status"], job["result"]["rejected"], job["result"].get("warnings")) == ("succeeded", 0, None)
    assert images_of(client, "second") == first
