"""`tsukiji datasets similar`."""

import json

from tests.tsukiji.client.test_similar import FOUND


def test_a_file_and_an_image_are_compared(service, run, tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"picture")
    service.answer("POST", "/v1/similar", FOUND, FOUND)
    service.answer("GET", "/v1/images/img_1/similar", FOUND)
    shown = run("datasets", "similar", "pets", tmp_path / "a.jpg", "--limit", 3).stdout.splitlines()
    assert {"known score\t0.250", "searched\t9", "similarity\timage\tname\tlabel"} <= set(shown)
    assert shown[-1] == "0.900\timg_2\tcat.jpg\tcat"
    assert service.asked_for("POST", "/v1/similar")[0].query == {"dataset": ["pets"], "limit": ["3"]}
    found = json.loads(run("datasets", "similar", "pets", "img_1", "--json").stdout)
    assert found["images"][0]["image"]["id"] == "img_2"


def test_what_is_neither_is_refused(service, run):
    result = run("datasets", "similar", "pets", "missing.jpg")
    assert result.exit_code == 2
    assert "no such file" in result.stderr
