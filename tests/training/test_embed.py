"""What a backbone sees is kept for each picture, once; the worker finds it without PyTorch."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from training import embed as looking
from training.control import Cancelled, Control
from training.embed import look
from training.embed_request import EmbeddedPicture, EmbedRequest, read_survey, write_survey
from training.events import Events
from training.random_projection import DIMENSIONS
from tsukiji.errors import Invalid, WeightsUnavailable
from tsukiji.vision.feature_cache import COMPACT, PLAIN, REGION, FeatureCache, find_space, weights_key
from tsukiji.vision.model import build


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    save_file(build("resnet18", 2).body_state(), folder / "resnet18.safetensors")
    return folder


@pytest.fixture
def survey(tmp_path: Path, pictures: list[dict[str, Any]], weights: Path) -> EmbedRequest:
    images = [EmbeddedPicture(path=row["path"], sha256=row["sha256"]) for row in pictures[:5]]
    return EmbedRequest(
        backbone="resnet18",
        image_size=32,
        images=images,
        features=tmp_path / "features.db",
        weights_dir=weights,
        download=False,
        device="cpu",
    )


@pytest.fixture
def events(tmp_path: Path) -> Events:
    return Events(os.open(tmp_path / "events", os.O_CREAT | os.O_WRONLY))


def feature_cache_of(survey: EmbedRequest) -> FeatureCache:
    key = weights_key("resnet18", 32, survey.weights_dir)
    assert key
    space = find_space(survey.features, key)
    assert space
    return FeatureCache(survey.features, space, 2**30)


def test_each_picture_is_kept_and_found_by_the_weights(survey: EmbedRequest, events: Events, tmp_path: Path) -> None:
    look(survey, events, Control())
    names = [image.sha256 for image in survey.images]
    kept = feature_cache_of(survey)
    assert kept.read(names, PLAIN, 256 + 1024).keys() == set(names), "a training finds its embeddings"
    sizes = {size for _, size in kept.read_sized(names, PLAIN, None).values()}
    assert sizes == {(50, 37 + number) for number in range(5)}, "a batch tells them, and reads no file"
    compacts = kept.read(names, COMPACT, DIMENSIONS)
    assert compacts.keys() == set(names)
    assert all(np.linalg.norm(row) == pytest.approx(1, abs=0.01) for row in compacts.values())
    boxes = kept.read(names, REGION, 4)
    assert all(0 <= box[0] < box[2] <= 1 and 0 <= box[1] < box[3] <= 1 for box in boxes.values())
    told = [json.loads(line) for line in (tmp_path / "events").read_text().splitlines()]
    assert told[-1] == {"type": "looked", "completed": 5, "total": 5}


def test_nothing_is_looked_at_twice(survey: EmbedRequest, events: Events, monkeypatch: pytest.MonkeyPatch) -> None:
    look(survey, events, Control())
    monkeypatch.setattr(looking, "open_picture", lambda *_: pytest.fail("it was looked at again"))
    look(survey, events, Control())


def test_a_picture_that_cannot_be_read_is_left_out(survey: EmbedRequest, events: Events, tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    bad = [
        EmbeddedPicture(path=tmp_path / "bad.jpg", sha256="0" * 64),
        EmbeddedPicture(path=tmp_path / "none", sha256="1" * 64),
    ]
    look(survey.model_copy(update={"images": [*bad, *survey.images]}), events, Control())
    names = [image.sha256 for image in (*bad, *survey.images)]
    assert len(feature_cache_of(survey).read(names, COMPACT, DIMENSIONS)) == 5


def test_it_stops_when_told(survey: EmbedRequest, events: Events) -> None:
    control = Control()
    control.obey("cancel")
    with pytest.raises(Cancelled):
        look(survey, events, control)


def test_without_weights_it_says_so(survey: EmbedRequest, events: Events, tmp_path: Path) -> None:
    with pytest.raises(WeightsUnavailable):
        look(survey.model_copy(update={"weights_dir": tmp_path / "none"}), events, Control())


def test_other_weights_have_another_key(weights: Path, tmp_path: Path) -> None:
    one = weights_key("resnet18", 32, weights)
    assert one not in {None, weights_key("resnet18", 64, weights), weights_key("resnet18", 32, tmp_path)}
    assert find_space(tmp_path / "none.db", "x") is None


def test_a_survey_is_read_as_it_was_written(survey: EmbedRequest, tmp_path: Path) -> None:
    write_survey(tmp_path, survey)
    assert read_survey(tmp_path) == survey
    with pytest.raises(Invalid):
        read_survey(tmp_path / "none")
