import json
import re

import pytest

from devtools.scripted_service import STREAM, Answer, job, page
from tests.tsukiji.cli.terminal import on_a_terminal

NOW = "2026-11-23T12:00:00Z"


def told(number, **state):
    """An event of the stream of all jobs."""
    now = {name: value for name, value in job(**state).items() if name not in {"request", "created_at"}}
    data = {"event": "status", "at": NOW, "data": {}, "job": now}
    return f"id: {number}\nevent: status\ndata: {json.dumps(data)}\n\n".encode()


@pytest.fixture
def busy(service):
    """One training of the data set pets runs, and ends."""
    running = job("running", request={"dataset_name": "pets"})

    def listed(asked):
        return page(*([running] if asked.query["status"] == ["running"] else []))

    service.answer("GET", "/v1/jobs", listed)
    stream = told(1, status="running", phase="training") + told(2, status="succeeded")
    service.answer("GET", "/v1/events", Answer(stream, headers=STREAM))
    return service


def test_a_pipe_gets_a_line_for_each_change(busy, run):
    result = run("watch", "--until-idle")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "training\tpets\ttraining\t50%\ttrn_1",
        "training\tpets\tsucceeded\t100%\ttrn_1",
    ]


def test_json_is_a_line_for_each_event(busy, run):
    events = [json.loads(line) for line in run("watch", "--until-idle", "--json").stdout.splitlines()]
    assert [event["job"]["status"] for event in events] == ["running", "succeeded"]


def test_a_job_that_comes_later_is_looked_up_for_its_name(busy, run):
    busy.answer("GET", "/v1/jobs", page(job("running", request={"dataset_name": "pets"})))
    new = told(3, status="running", job_id="bat_1", kind="batch")
    ended = told(4, status="succeeded", job_id="bat_1", kind="batch") + told(5, status="succeeded")
    busy.answer("GET", "/v1/events", Answer(new + ended, headers=STREAM))
    busy.answer("GET", "/v1/jobs/bat_1", job("running", "bat_1", "batch", request={"model": "m", "model_name": "best"}))
    assert "batch\tbest\trunning\t50%\tbat_1" in run("watch", "--until-idle").stdout


def test_a_terminal_shows_a_live_table(busy):
    shown = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", on_a_terminal("watch", "--until-idle"))
    assert re.search(r"training +pets +training +50% ", shown)
    assert re.search(r"training +pets +succeeded +100% ", shown)


def test_ctrl_c_leaves_the_jobs_running_and_says_so(busy, run, monkeypatch):
    def interrupted(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr("tsukiji.client.Client.events", interrupted)
    result = run("watch")
    assert result.exit_code == 130
    assert "Stopped watching. 1 job goes on." in result.stderr
