"""The intake of pictures under a fuzzer, for some seconds; `devtools.fuzz_images` does it at length."""

import importlib.util

import pytest

from devtools.fuzz_images import run, seeds
from tsukiji.vision.decoding.decode import probe

SEEDS = seeds()


@pytest.mark.parametrize("name", SEEDS)
def test_seeds_are_good_pictures(name):
    facts = probe(SEEDS[name])
    assert facts.format.lower() in name.replace("mpo", "jpeg")


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is not there; install tsukiji[fuzz]")
def test_pictures_bent_at_random_are_refused_or_shown(tmp_path):
    outcome = run(4, seed=1, found=tmp_path / "found")
    assert outcome["found"] == []
    assert outcome["tried"] > len(SEEDS)
