"""A worker for the tests: it appends the queue of every notification to a file.

It first runs the command in a file beside it, once: `slow` takes a second, `notify infer` notifies another queue.
"""

import os
import time
from pathlib import Path

from tsukiji.jobs import Queue
from tsukiji.kernel import log
from tsukiji.kernel.queue import Notifier, create_app, task_name
from tsukiji.kernel.settings import load

settings = load()
log.configure(settings.log, "worker")
app = create_app(settings)
notifier = Notifier(app)


def note(queue):
    @app.task(name=task_name(queue))
    def run():
        path = Path(os.environ["NOTES"])
        with path.open("a") as notes:
            notes.write(f"{queue}\n")
        command = path.with_name("command")
        if not command.exists():
            return
        word = command.read_text()
        command.unlink()
        if word == "slow":
            time.sleep(1)
        else:
            assert notifier.notify(Queue(word.removeprefix("notify ")))


for each in Queue:
    note(each)
