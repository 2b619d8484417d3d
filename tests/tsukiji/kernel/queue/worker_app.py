"""A worker for the tests: each time it hears a bell it writes the queue to a line of a file.

It first does what the file `wish` beside it says, once: `slow` takes a second, `ring infer` rings another bell.
"""

import os
import time
from pathlib import Path

from tsukiji.jobs import Queue
from tsukiji.kernel import log
from tsukiji.kernel.queue import Wakeups, bell_of, create_app
from tsukiji.kernel.settings import load

settings = load()
log.configure(settings.log, "worker")
app = create_app(settings)
wakeups = Wakeups(app)


def note(queue):
    @app.task(name=bell_of(queue))
    def run():
        path = Path(os.environ["NOTES"])
        with path.open("a") as notes:
            notes.write(f"{queue}\n")
        wish = path.with_name("wish")
        if not wish.exists():
            return
        word = wish.read_text()
        wish.unlink()
        if word == "slow":
            time.sleep(1)
        else:
            assert wakeups.ring(Queue(word.removeprefix("ring ")))


for each in Queue:
    note(each)
