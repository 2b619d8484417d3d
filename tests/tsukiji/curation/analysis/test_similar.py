"""What may be a copy: what was cut or made brighter is a candidate, what differs is not."""

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from tsukiji.curation.analysis import similar
from tsukiji.curation.analysis.similar import candidates, hash_views
from tsukiji.vision.phash import greys_of


def photo(seed):
    random = np.random.default_rng(seed)
    noise = random.integers(0, 256, (9, 9, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((160, 120), Image.Resampling.BICUBIC)


def nothing():
    """Never stops."""


def greys(*pictures):
    return np.stack([greys_of(picture) for picture in pictures])


CHANGES = {
    "smaller": lambda picture: picture.resize((60, 45)),
    "brighter": lambda picture: ImageEnhance.Brightness(picture).enhance(1.2),
    "edges cut": lambda picture: picture.crop((8, 3, 155, 112)),
    "one side cut": lambda picture: picture.crop((14, 0, 160, 120)),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_changed_picture_is_a_candidate(change):
    for seed in range(10):
        pair = greys(photo(seed), change(photo(seed)))
        assert candidates(hash_views(pair), 0, nothing).tolist() == [[1, 0]]


def test_only_pairs_with_a_new_picture_are_candidates():
    pair, other = greys(photo(1), photo(1), photo(2), photo(2)), hash_views
    assert sorted(map(sorted, candidates(other(pair), 0, nothing).tolist())) == [[0, 1], [2, 3]]
    assert candidates(other(pair), 3, nothing).tolist() == [[3, 2]]
    assert candidates(other(pair), 4, nothing).tolist() == []


def test_pictures_of_one_tone_have_no_candidates():
    plain = greys(*(Image.new("RGB", (50, 50), (shade, 0, 0)) for shade in (10, 10, 200)))
    assert len(candidates(hash_views(plain), 0, nothing)) == 0


def test_blocks_and_columns_change_nothing(monkeypatch):
    hashes = hash_views(greys(*(photo(number % 7) for number in range(30))))
    expected = candidates(hashes, 0, nothing).tolist()
    monkeypatch.setattr(similar, "ROWS", 4)
    monkeypatch.setattr(similar, "COLUMNS", 5)
    assert sorted(candidates(hashes, 0, nothing).tolist()) == sorted(expected)


def test_a_thousand_frames_of_one_camera_make_few_pairs():
    hashes = hash_views(np.repeat(greys(photo(1)), 1000, axis=0))
    pairs = candidates(hashes, 0, nothing)
    assert len(pairs) <= 4 * 1000
    assert len(np.unique(pairs[:999, 0])) == 999, "the closest of each picture come first"


def test_it_stops_when_told():
    class Told(Exception):
        pass

    def stop():
        raise Told

    with pytest.raises(Told):
        candidates(hash_views(greys(photo(1), photo(1))), 0, stop)
