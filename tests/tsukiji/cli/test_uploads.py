import json

import pytest

from devtools.scripted_service import Answer, page
from tests.tsukiji.uploads import DATA as WHOLE
from tests.tsukiji.uploads import PLACE, record


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "pets.zip"
    path.write_bytes(WHOLE)
    return path


def test_send_prints_the_id(run, kept, archive):
    result = run("uploads", "send", archive)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0] == "upload\tupl_1"
    assert "sending pets.zip, 2,500 bytes" in result.stderr


def test_an_interrupted_send_says_how_to_go_on(run, service, kept, archive, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("tsukiji.client._sync._uploads._send_missing", interrupt)
    result = run("uploads", "send", archive)
    assert result.exit_code == 130
    assert "continues where it stopped" in result.stderr


def test_list_and_remove(run, service):
    service.answer("GET", "/v1/uploads", page(record(bytes_confirmed=1000)))
    service.answer("DELETE", PLACE, Answer(status=204))
    assert "1,000 of 2,500" in run("uploads", "ls").stdout
    assert json.loads(run("uploads", "rm", "upl_1", "--json").stdout) == {"id": "upl_1", "deleted": True}
