"""Jobs, and what happened to them, in words."""

from dataclasses import dataclass
from typing import Any, Final

from api.http.errors import catalogue
from db.jobs.requests import BatchRequest, EvaluationRequest, ExportRequest, ImportRequest, TrainingRequest
from db.models import ApiKey, Dataset, Job, JobEvent, Model
from db.session import Session
from tsukiji.jobs import JobKind, JobStatus

KINDS: Final = {
    JobKind.TRAINING: "Training",
    JobKind.BATCH: "Batch",
    JobKind.PREDICTION: "Prediction",
    JobKind.IMPORT: "Import",
    JobKind.EVALUATION: "Evaluation",
    JobKind.EXPORT: "Export",
    JobKind.ANALYSIS: "Check",
    JobKind.SUGGESTION: "Suggestions",
}
STATES: Final = {
    JobStatus.QUEUED: "waiting",
    JobStatus.RUNNING: "running",
    JobStatus.CANCELLING: "cancelling",
    JobStatus.SUCCEEDED: "done",
    JobStatus.FAILED: "failed",
    JobStatus.CANCELLED: "cancelled",
    JobStatus.EXPIRED: "too late",
}
REASONS: Final = {
    "asked": "a person or a program asked for it",
    "classified": "all pictures are classified, and are measured now",
    "lease_expired": "the worker stopped responding",
    "worker_stopping": "the worker was shut down",
}
"""Values of `why` in the history, besides error codes."""
OWN_SCREENS: Final = {JobKind.TRAINING: "trainings", JobKind.BATCH: "batches"}


@dataclass(frozen=True)
class Told:
    """What a job is.

    Attributes:
        kind: its name on the page.
        about: the words after it, as `of pets`.
        opens: the screen with what it made or works on, and what the link to it says; None where that is gone.
    """

    kind: str
    about: str
    opens: tuple[str, str] | None = None


def screen_of(kind: str, job_id: str) -> str:
    """Return the address of the screen where a job is followed."""
    return f"/{OWN_SCREENS.get(JobKind(kind), 'jobs')}/{job_id}"


def describe(session: Session, job: Job) -> Told:
    dataset = session.get(Dataset, job.dataset_id) if job.dataset_id else None
    model = session.get(Model, job.model_id) if job.model_id else None
    about, opens = ABOUT[JobKind(job.kind)](job, dataset, model)
    return Told(KINDS[JobKind(job.kind)], about, opens)


About = tuple[str, tuple[str, str] | None]


def of_training(job: Job, dataset: Dataset | None, model: Model | None) -> About:  # noqa: ARG001
    asked = TrainingRequest.of(job)
    name = dataset.name if dataset else asked.dataset_name
    made = f"of {asked.name}" + (f" on {name}" if name and name != asked.name else "")
    return made, (f"/trainings/{job.id}", "Open the training")


def of_batch(job: Job, dataset: Dataset | None, model: Model | None) -> About:  # noqa: ARG001
    asked = BatchRequest.of(job)
    return f"with {asked.model_name or asked.model}", (f"/batches/{job.id}", "Open the batch")


def of_prediction(job: Job, dataset: Dataset | None, model: Model | None) -> About:  # noqa: ARG001
    asked = BatchRequest.of(job)
    gone = job.results_deleted_at is not None
    return f"with {asked.model_name or asked.model}", None if gone else (f"/use?prediction={job.id}", "See the answer")


def of_import(job: Job, dataset: Dataset | None, model: Model | None) -> About:  # noqa: ARG001
    asked = ImportRequest.of(job)
    what = "the sample pictures" if asked.sample else asked.filename or asked.source or asked.table or "pictures"
    return f"of {what}" + (f" into {dataset.name}" if dataset else ""), to_dataset(dataset, "", "See the pictures")


def of_evaluation(job: Job, dataset: Dataset | None, model: Model | None) -> About:
    asked, made = EvaluationRequest.of(job), (job.result or {}).get("evaluation_id")
    of = f"of {asked.model_name or asked.model}" + (f" on {dataset.name}" if dataset else "")
    if model is None:
        return of, None
    return of, (f"/models/{model.id}" + (f"?evaluation={made}" if made else ""), "See the figures")


def of_export(job: Job, dataset: Dataset | None, model: Model | None) -> About:  # noqa: ARG001
    asked = ExportRequest.of(job)
    opens = (f"/models/{model.id}#exports", "See the model") if model else None
    return f"of {asked.model_name or asked.model} as {asked.format}", opens


def of_analysis(job: Job, dataset: Dataset | None, model: Model | None) -> About:  # noqa: ARG001
    return "of the pictures" + (f" of {dataset.name}" if dataset else ""), to_dataset(
        dataset, "/curate", "See what it found"
    )


def of_suggestion(job: Job, dataset: Dataset | None, model: Model | None) -> About:  # noqa: ARG001
    return f"for {dataset.name}" if dataset else "", to_dataset(dataset, "/label", "Label with them")


def to_dataset(dataset: Dataset | None, place: str, text: str) -> tuple[str, str] | None:
    return (f"/datasets/{dataset.id}{place}", text) if dataset else None


ABOUT: Final = {
    JobKind.TRAINING: of_training,
    JobKind.BATCH: of_batch,
    JobKind.PREDICTION: of_prediction,
    JobKind.IMPORT: of_import,
    JobKind.EVALUATION: of_evaluation,
    JobKind.EXPORT: of_export,
    JobKind.ANALYSIS: of_analysis,
    JobKind.SUGGESTION: of_suggestion,
}


# --- the history -----------------------------------------------------------------------------------------------------


def line_of(session: Session, event: JobEvent) -> dict[str, Any]:
    """Return one event as `what` happened, `why`, `who` did it, `at`."""
    data = event.data
    what = MOVES.get(data.get("status", ""), data.get("status")) or str(data.get("message", ""))
    if event.event == "status" and data.get("status") == JobStatus.QUEUED and "why" in data:
        what = "Back in the queue"
    return {
        "what": what[:1].upper() + what[1:] + (f", attempt {event.attempt}" if event.attempt > 1 else ""),
        "why": reason_of(data.get("why")),
        "who": who_did(session, data.get("by"), event.worker),
        "at": event.at,
    }


MOVES: Final = {
    JobStatus.QUEUED: "Queued",
    JobStatus.RUNNING: "Started",
    JobStatus.CANCELLING: "Asked to stop",
    JobStatus.SUCCEEDED: "Done",
    JobStatus.FAILED: "Failed",
    JobStatus.CANCELLED: "Cancelled",
    JobStatus.EXPIRED: "Ended by its deadline",
}


def reason_of(why: str | None) -> str | None:
    """Return a reason in words; an error code as its title."""
    if why is None:
        return None
    known = catalogue().get(why)
    return REASONS.get(why) or (known.title if known else why.replace("_", " "))


def who_did(session: Session, key_id: str | None, worker: str | None) -> str | None:
    if key_id:
        key = session.get(ApiKey, key_id)
        return f"key {key.name}" if key else "a key"
    return worker_name(worker) if worker else None


def worker_name(worker: str) -> str:
    """Return `intake@host:10429:1796023494293` as `intake on host, process 10429`."""
    queue, _, place = worker.partition("@")
    host, _, rest = place.partition(":")
    return f"{queue} on {host}, process {rest.partition(':')[0]}" if rest else worker
