"""A picture that kills its worker each time: its batch fails after three attempts, and other batches do not wait."""

import pytest
from PIL import Image

from devtools.journey import fill, train, write_pictures
from devtools.poisoned_service import ATTEMPTS, poisoned_service
from tsukiji import JobFailedError

JOB_SECONDS = 300

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def poison(tmp_path):
    path = tmp_path / "poison.png"
    Image.new("RGB", (40, 40), (1, 2, 3)).save(path)
    return path


@pytest.fixture
def client(tmp_path, poison):
    with poisoned_service(tmp_path, poison) as client:
        yield client


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
