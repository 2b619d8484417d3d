"""A picture that kills its worker each time: its batch is told so after three attempts, and nobody else's waits."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.e2e.journey import fill, train, write_pictures
from tests.faults.poisoned import POISON
from tests.services import wait_until
from tsukiji import Client, JobFailedError

ROOT = Path(__file__).parents[2]
ATTEMPTS = 3
JOB_SECONDS = 300

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def poison(tmp_path):
    path = tmp_path / "poison.png"
    Image.new("RGB", (40, 40), (1, 2, 3)).save(path)
    return path


@pytest.fixture
def client(tmp_path, poison):
    """A client of a service with one inference worker, the supervisor reviving it."""
    announced = tmp_path / "announced.json"
    mine = {
        POISON: hashlib.sha256(poison.read_bytes()).hexdigest(),
        "TSUKIJI_DATA_DIR": str(tmp_path / "data"),
        "TSUKIJI_API_PORT": "0",
        "TSUKIJI_TRAINING_WORKERS": "0",
        "TSUKIJI_JOBS_MAX_ATTEMPTS": str(ATTEMPTS),
    }
    with (tmp_path / "service.log").open("wb") as log:
        service = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.poisoned", "up", "--announce", str(announced)],
            cwd=ROOT,
            env=os.environ | mine,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        assert wait_until(lambda: announced.exists() or service.poll() is not None, seconds=120)
        told = json.loads(announced.read_text())
        with Client(told["url"], told["api_key"]) as client:
            yield client
    finally:
        service.send_signal(signal.SIGTERM)
        service.wait(60)


def test_a_poisonous_picture_fails_after_three_attempts_and_blocks_nobody(tmp_path, client, poison):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    model = train(client, fill(client, write_pictures(pictures), "poison")).model
    warm = client.batches.create(model=model, images=[pictures]).wait(JOB_SECONDS)
    bad = client.batches.create(model=model, images=[poison])
    good = client.batches.create(model=model, images=[pictures]).wait(JOB_SECONDS)
    assert (good.status, good.counts) == ("succeeded", warm.counts)

    with pytest.raises(JobFailedError):
        bad.wait(JOB_SECONDS)
    assert (bad.status, bad.error.reasons) == ("failed", {"worker_lost": 1})
    (result,) = bad.results()
    assert (result.status, result.error.code) == ("errored", "worker_lost")
    assert str(ATTEMPTS) in result.error.detail
    after = client.batches.create(model=model, images=[pictures]).wait(JOB_SECONDS)
    assert after.status == "succeeded", "its worker is there again"
    log = (tmp_path / "service.log").read_text()
    assert log.count("program_died") == ATTEMPTS, "it died of nothing else, and no more often"
