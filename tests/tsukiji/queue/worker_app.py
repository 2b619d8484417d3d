"""A worker for the tests: every task writes what it was given to a line of a file."""

import os
import time
from pathlib import Path

from tsukiji import log
from tsukiji.jobs import Task
from tsukiji.queue import Wakeups, create_app
from tsukiji.settings import load

settings = load()
log.configure(settings.log, "worker")
app = create_app(settings)
wakeups = Wakeups(app)


def note(task):
    @app.task(name=task.value)
    def run(row_id):
        with Path(os.environ["NOTES"]).open("a") as notes:
            notes.write(f"{task.value} {row_id}\n")
        if row_id == "slow":
            time.sleep(1)
        if row_id == "plan":
            assert wakeups.send(Task.CHUNK, "planned")


for each in Task:
    note(each)
