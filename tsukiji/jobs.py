"""The state machine of every job, as data. Knows no database: `db/` makes the moves, these tables allow them."""

from enum import StrEnum
from typing import Final


class JobStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class JobKind(StrEnum):
    TRAINING = "training"
    BATCH = "batch"
    PREDICTION = "prediction"
    IMPORT = "import"
    EVALUATION = "evaluation"
    EXPORT = "export"
    ANALYSIS = "analysis"
    SUGGESTION = "suggestion"


TRANSITIONS: Final[dict[JobStatus, frozenset[JobStatus]]] = {
    JobStatus.QUEUED: frozenset({JobStatus.RUNNING, JobStatus.CANCELLED, JobStatus.FAILED, JobStatus.EXPIRED}),
    # RUNNING to QUEUED: the worker gave the work back, or its lease ran out.
    JobStatus.RUNNING: frozenset(
        {JobStatus.QUEUED, JobStatus.CANCELLING, JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.EXPIRED}
    ),
    # A job that ends while its cancellation is on the way has ended as it did.
    JobStatus.CANCELLING: frozenset({JobStatus.CANCELLED, JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.EXPIRED}),
    JobStatus.SUCCEEDED: frozenset(),
    JobStatus.FAILED: frozenset(),
    JobStatus.CANCELLED: frozenset(),
    JobStatus.EXPIRED: frozenset(),
}
TERMINAL: Final = frozenset(status for status, following in TRANSITIONS.items() if not following)
ACTIVE: Final = frozenset(JobStatus) - TERMINAL
OPEN: Final = frozenset({JobStatus.QUEUED, JobStatus.RUNNING})
"""The states in which a batch gives out chunks."""


def sources_of(target: JobStatus) -> frozenset[JobStatus]:
    """Return the states from which a job may move to `target`."""
    return frozenset(status for status, following in TRANSITIONS.items() if target in following)


class Queue(StrEnum):
    """The queues; each has worker processes of its own, so that long work never keeps short work waiting."""

    TRAIN = "train"
    INFER = "infer"
    INTAKE = "intake"


PRESENT_SECONDS: Final = 60
"""A worker that reported within this time is there."""


QUEUE_OF: Final = {
    JobKind.TRAINING: Queue.TRAIN,
    JobKind.IMPORT: Queue.INTAKE,
    JobKind.BATCH: Queue.INTAKE,
    JobKind.EVALUATION: Queue.INTAKE,
    # A minute in a process of its own: neither behind trainings of hours nor before predictions of milliseconds.
    JobKind.EXPORT: Queue.INTAKE,
    JobKind.ANALYSIS: Queue.INTAKE,
    JobKind.SUGGESTION: Queue.INTAKE,
}
"""Where a job as a whole is done. Chunks are classified in `infer`; a prediction has nothing else."""

MEASURING: Final = "measuring"
"""The phase of an evaluation whose images are all classified: the job is claimed once more, and measured."""
LISTING: Final = "listing"
"""The same of a batch with parts: they are completed, and listed."""
CONCLUDING: Final = frozenset({MEASURING, LISTING})

PREFIX_OF: Final = {
    JobKind.TRAINING: "trn",
    JobKind.BATCH: "bat",
    JobKind.PREDICTION: "prd",
    JobKind.IMPORT: "imp",
    JobKind.EVALUATION: "evj",
    JobKind.EXPORT: "exp",
    JobKind.ANALYSIS: "ana",
    JobKind.SUGGESTION: "sug",
}
"""What an id begins with."""
