"""Embeddings are computed once for each picture; the file that keeps them is but a cache."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.training.conftest import MakeRun
from training import features
from training.control import Cancelled, Control
from training.events import Events
from training.features import Embedder
from training.random_projection import DIMENSIONS, compact
from training.run import Picture, load
from tsukiji.errors import BlobCorrupt
from tsukiji.vision import feature_cache as kept_file
from tsukiji.vision.engines import Floats, Pixels
from tsukiji.vision.execution_plan import Plan
from tsukiji.vision.feature_cache import COMPACT, PLAIN, REGION, FeatureCache, space_of
from tsukiji.vision.preprocess import Preprocess

SIDE = 32
MANY = 2**30


class Columns:
    """A fake network: an embedding is the mean of each column of pixels; it counts its inputs."""

    space = "here"
    num_embedded = SIDE
    bytes = 0

    def __init__(self) -> None:
        self.seen = 0

    def look(self, pixels: Pixels) -> tuple[Floats, Floats]:
        self.seen += len(pixels)
        return pixels.mean((1, 3), dtype=np.float32), pixels.sum(3, dtype=np.float32)


Open = Callable[..., tuple[Embedder, Columns]]


@pytest.fixture
def events(tmp_path: Path) -> Iterator[Events]:
    descriptor = os.open(tmp_path / "events", os.O_CREAT | os.O_WRONLY)
    yield Events(descriptor)
    os.close(descriptor)


@pytest.fixture
def run_pictures(make_run: MakeRun) -> list[Picture]:
    return load(make_run()).images[:10]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "features.db"


@pytest.fixture
def open_embedder(make_run: MakeRun, file: Path, events: Events) -> Open:
    """Return a function to an embedder, as a new training opens one, and its network."""
    run = load(make_run("embedded"))

    def begin(
        space: str = "here", path: Path | None = file, most_bytes: int = MANY, control: Control | None = None
    ) -> tuple[Embedder, Columns]:
        model = Columns()
        store = FeatureCache(path, space, most_bytes) if path else None
        preprocess = Preprocess(size=SIDE)
        plan = Plan(batch_size=4, streams=1)
        return Embedder(run, model, preprocess, plan, store, control or Control(), events, SIDE // 4), model

    return begin


def test_what_was_computed_once_is_never_computed_again(open_embedder: Open, run_pictures: list[Picture]) -> None:
    first, model = open_embedder()
    expected = first.embed(run_pictures)
    assert model.seen == len(run_pictures)
    again, idle = open_embedder()
    assert np.array_equal(again.embed(run_pictures), expected)
    assert idle.seen == 0


def test_the_sizes_of_the_whole_pictures_are_kept_for_batches(open_embedder: Open, run_pictures: list[Picture]) -> None:
    picture = run_pictures[3].model_copy(update={"crop": (0, 0, 20, 20)})
    embedder, _ = open_embedder()
    embedder.embed([picture])
    assert embedder.kept is not None
    assert embedder.kept.read_sized([picture.content], PLAIN, SIDE)[picture.content][1] == (50, 40)


def test_what_an_analysis_asks_for_is_kept_too(open_embedder: Open, run_pictures: list[Picture]) -> None:
    embedder, _ = open_embedder()
    expected, names = embedder.embed(run_pictures), [picture.content for picture in run_pictures]
    assert embedder.kept is not None
    for number, width in ((REGION, 4), (PLAIN, SIDE), (COMPACT, DIMENSIONS)):
        assert embedder.kept.read(names, number, width).keys() == set(names)
    known = compact(expected, SIDE // 4)
    found = embedder.kept.read(names, COMPACT, DIMENSIONS)
    assert np.allclose([found[name] for name in names], known, atol=2e-3)


def test_a_picture_that_is_there_twice_is_computed_once(open_embedder: Open, run_pictures: list[Picture]) -> None:
    embedder, model = open_embedder(path=None)
    rows = embedder.embed([run_pictures[0], run_pictures[1], run_pictures[0]])
    assert model.seen == 2
    assert np.array_equal(rows[0], rows[2])


def test_a_crop_is_another_picture(open_embedder: Open, run_pictures: list[Picture]) -> None:
    whole = run_pictures[0]
    cropped = whole.model_copy(update={"crop": (0, 0, 20, 20)})
    embedder, model = open_embedder()
    rows = embedder.embed([whole, cropped])
    assert model.seen == 2
    assert not np.allclose(rows[0], rows[1])
    again, idle = open_embedder()
    assert np.array_equal(again.embed([cropped, whole]), rows[::-1])
    assert idle.seen == 0


def test_relabelled_and_moved_pictures_compute_nothing(open_embedder: Open, run_pictures: list[Picture]) -> None:
    open_embedder()[0].embed(run_pictures)
    changed = [
        picture.model_copy(update={"label": "another", "split": "valid", "name": "renamed.png"})
        for picture in run_pictures
    ]
    embedder, model = open_embedder()
    embedder.embed(changed)
    assert model.seen == 0


def test_only_new_pictures_are_computed(open_embedder: Open, run_pictures: list[Picture]) -> None:
    open_embedder()[0].embed(run_pictures[:7])
    embedder, model = open_embedder()
    rows = embedder.embed(run_pictures)
    assert model.seen == 3
    assert np.array_equal(rows, open_embedder(path=None)[0].embed(run_pictures).astype("<f2").astype(np.float32))


def test_another_network_or_preprocessing_computes_anew(open_embedder: Open, run_pictures: list[Picture]) -> None:
    open_embedder()[0].embed(run_pictures)
    embedder, model = open_embedder(space="there")
    embedder.embed(run_pictures)
    assert model.seen == len(run_pictures)


def test_a_space_is_of_weights_backbone_and_pixels() -> None:
    body = {"a": torch.ones(2), "b": torch.zeros(3)}
    here = space_of(body, "resnet18", Preprocess(size=64))
    assert here == space_of({"b": torch.zeros(3), "a": torch.ones(2)}, "resnet18", Preprocess(size=64))
    others = [
        space_of(body | {"b": torch.tensor([0.0, 0.0, 1e-6])}, "resnet18", Preprocess(size=64)),
        space_of(body, "resnet34", Preprocess(size=64)),
        space_of(body, "resnet18", Preprocess(size=96)),
        space_of(body, "resnet18", Preprocess(size=64, mean=(0.5, 0.5, 0.5))),
        space_of(body, "resnet18", Preprocess(size=64), "bfloat16"),
    ]
    assert len({here, *others}) == 6


@pytest.mark.parametrize("content", [b"", b"this is no database at all" * 100, b"SQLite format 3\0 cut short"])
def test_a_damaged_file_is_only_a_cache(
    open_embedder: Open, run_pictures: list[Picture], file: Path, content: bytes
) -> None:
    expected = open_embedder()[0].embed(run_pictures)
    file.write_bytes(content)
    assert np.array_equal(open_embedder()[0].embed(run_pictures), expected)
    open_embedder()[0].embed(run_pictures)
    embedder, model = open_embedder()
    assert np.array_equal(embedder.embed(run_pictures), expected)
    assert model.seen == 0, "it keeps again"


@pytest.mark.parametrize("vector", [b"odd", b"\0" * 10, b""])
def test_a_damaged_row_is_computed_anew(
    open_embedder: Open, run_pictures: list[Picture], file: Path, vector: bytes
) -> None:
    expected = open_embedder()[0].embed(run_pictures)
    connection = sqlite3.connect(file)
    connection.execute("UPDATE embeddings SET vector = ? WHERE picture = ?", (vector, run_pictures[3].sha256))
    connection.commit()
    connection.close()
    assert np.array_equal(open_embedder()[0].embed(run_pictures), expected)


def test_a_locked_file_keeps_nobody_waiting_for_ever(
    open_embedder: Open, run_pictures: list[Picture], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_file, "BUSY_SECONDS", 0)
    expected = open_embedder()[0].embed(run_pictures)
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    assert np.array_equal(open_embedder()[0].embed(run_pictures), expected)
    other.close()
    assert file.exists(), "what is only locked is not thrown away"
    embedder, model = open_embedder()
    embedder.embed(run_pictures)
    assert model.seen == 0


def test_a_place_that_cannot_be_written_costs_only_time(
    open_embedder: Open, run_pictures: list[Picture], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    embedder, model = open_embedder(path=tmp_path / "file" / "features.db")
    embedder.embed(run_pictures)
    assert model.seen == len(run_pictures)


def test_a_full_disk_costs_only_time(
    open_embedder: Open, run_pictures: list[Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = sqlite3.connect

    def crowded(*args: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*args, **options)
        connection.execute("PRAGMA max_page_count = 2")
        return connection

    monkeypatch.setattr(sqlite3, "connect", crowded)
    expected = open_embedder(path=None)[0].embed(run_pictures).astype("<f2").astype(np.float32)
    monkeypatch.setattr(features, "SAVED_PARTS", 1)
    assert np.array_equal(open_embedder()[0].embed(run_pictures), expected)


def test_the_file_is_bounded_and_the_newest_stay(file: Path) -> None:
    bound = 300_000
    store = FeatureCache(file, "here", bound)
    rows = {f"{number:064}": np.full(1000, number, np.float32) for number in range(300)}  # 600 kB
    names = sorted(rows)
    for start in range(0, 300, 20):
        store.write({name: rows[name] for name in names[start : start + 20]}, PLAIN)
    found = store.read(names, PLAIN, 1000)
    assert sum(row.size * 2 for row in found.values()) <= bound
    assert file.stat().st_size <= 2 * bound
    assert set(names[-20:]) <= found.keys()
    assert names[0] not in found


def test_bytes_that_have_changed_are_never_learnt_from(
    open_embedder: Open, run_pictures: list[Picture], tmp_path: Path
) -> None:
    (tmp_path / "changed.png").write_bytes(run_pictures[0].path.read_bytes())
    altered = run_pictures[1].model_copy(update={"path": tmp_path / "changed.png"})
    with pytest.raises(BlobCorrupt, match=altered.name):
        open_embedder()[0].embed([altered])


def test_cancel_stops_between_batches_and_keeps_what_is_done(
    open_embedder: Open, run_pictures: list[Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "SAVED_PARTS", 1)
    control = Control()
    embedder, model = open_embedder(control=control)
    look = model.look

    def look_and_cancel(pixels: Pixels) -> tuple[Floats, Floats]:
        control.obey("cancel")
        return look(pixels)

    monkeypatch.setattr(model, "look", look_and_cancel)
    with pytest.raises(Cancelled):
        embedder.embed(run_pictures)
    later, rest = open_embedder()
    later.embed(run_pictures)
    assert (model.seen, rest.seen) == (4, 6)
