"""The basis of `bench.batches`: unseen photos, peers that fail loudly, ratios of the same run."""

import io
import re
import zipfile
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench import batches
from bench.report import make_photos
from bench.throughput import photos, shared, throughput
from bench.throughput.peer import Peer
from bench.throughput.stage import PartMissing, Stage
from tsukiji.vision.decoding.decode import DecodeLimits, decode

ROOT = Path(__file__).parents[2]


def pixels(file):
    return np.asarray(decode(file, DecodeLimits()))


@pytest.fixture
def stage(tmp_path):
    few = {"images": 3, "image_size": 32, "runs": 1, "large": 20, "rounds": 1, "seconds": 0.1, "clients": 1}
    found = make_photos(tmp_path / "photos", 2)
    return Stage(scratch=tmp_path / "scratch", photos=found, weights=None, **few)


def test_the_same_photo_comes_again_as_another_file(stage):
    files = list(islice(photos.endless(stage.photos), 6))
    assert len(set(files)) == 6
    original = pixels(stage.photos[0].read_bytes())
    assert all(np.array_equal(pixels(file), original) for file in files[::2])


def test_a_picture_that_is_no_jpeg_becomes_one(tmp_path):
    Image.new("RGB", (40, 30), "red").save(tmp_path / "red.png")
    [file] = islice(photos.endless([tmp_path / "red.png"]), 1)
    assert Image.open(io.BytesIO(file)).format == "JPEG"
    assert pixels(file).shape == (30, 40, 3)


def test_fresh_photos_are_new_in_each_run(stage):
    first, second = (stage.fresh(name, 3) for name in ("one", "two"))
    assert not {file.read_bytes() for file in first} & {file.read_bytes() for file in second}


def test_photos_are_packed_at_the_size_that_is_asked_for(stage, tmp_path):
    with zipfile.ZipFile(photos.pack(stage.photos, 3, tmp_path / "images.zip", 64)) as archive:
        sizes = [Image.open(io.BytesIO(archive.read(name))).size for name in archive.namelist()]
    assert sizes == [(85, 64)] * 3


def test_ratios_are_of_the_same_run():
    """A machine that slows down by half in between changes no ratio."""
    figures = throughput.summary({"service": [90.0, 45.0, 90.0], "fastai": [30.0, 15.0, 30.0]})
    assert figures == {
        "service_images_per_second": 90,
        "fastai_images_per_second": 30,
        "service_vs_fastai": 3,
    }


def test_a_peer_that_dies_says_why(tmp_path):
    with Peer("nobody", tmp_path, tmp_path) as peer, pytest.raises(RuntimeError, match="No module named"):
        peer.classify([])


def test_a_part_that_cannot_be_measured_has_no_figures(stage, capsys):
    stage.scratch.mkdir()
    with pytest.raises(PartMissing):
        shared.measure(stage)
    assert batches.measure("shared", stage) == {}
    assert "--weights" in capsys.readouterr().err


def test_the_documents_name_every_part():
    told = (ROOT / "docs" / "performance.md").read_text()
    assert set(batches.PARTS) <= set(re.findall(r"`(\w+)`", told))
