"""A whole service whose inference worker is killed by one certain picture: `python -m tests.faults.poisoned up`.

The supervisor is the real one; only its inference worker comes through this file, which kills it where it decodes.
"""

import hashlib
import os
import signal
import sys

import worker.chunks
from worker import supervisor
from worker.__main__ import main
from worker.supervisor import Child

POISON = "POISON_SHA256"


class PoisonedChild(Child):
    def start(self):
        if self.name == "infer":
            self.arguments = ["tests.faults.poisoned", *self.arguments[1:]]
        super().start()


def deadly(decode):
    def decode_or_die(data, *arguments, **options):
        if hashlib.sha256(data).hexdigest() == os.environ[POISON]:
            os.kill(os.getpid(), signal.SIGKILL)
        return decode(data, *arguments, **options)

    return decode_or_die


if __name__ == "__main__":
    supervisor.Child = PoisonedChild
    worker.chunks.decode = deadly(worker.chunks.decode)
    sys.exit(main())
