import json

from devtools.scripted_service import page
from tests.tsukiji.client.test_keys import ENTRY


def test_who_did_what(service, run):
    service.answer("GET", "/v1/audit", page(ENTRY))
    line = run("audit", "--key", "camera", "--since", "2026-11-01").stdout.splitlines()[1]
    assert line.split("\t")[1:] == ["camera", "create_dataset", "POST /v1/datasets", "ds_1", "10.0.0.1"]
    assert json.loads(run("audit", "--json").stdout)["act"] == "create_dataset"
