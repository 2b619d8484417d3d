"""The sample data set: made once, by an import."""

from api.http.idempotency import Made, Once
from api.services import Services
from api.submit.admission import check_room, create
from db.curation import datasets
from db.jobs import jobs
from db.jobs.requests import ImportRequest
from db.models import ApiKey, Dataset
from db.session import Session
from tsukiji.errors import NotFound
from tsukiji.jobs import JobKind, JobStatus, Queue

NAME = "handwritten digits"
DESCRIPTION = "1,797 handwritten digits of the UCI Machine Learning Repository, as scikit-learn brings them."
AGAIN = frozenset({JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.EXPIRED})


def start_sample(services: Services, caller: ApiKey) -> tuple[Made, bool]:
    """Return the import that fills the sample data set, and whether it was queued now.

    One that failed is queued again. A data set of this name that is there already gets the pictures it lacks.

    Raises:
        QueueFull: the key has too many imports.
    """
    queued = []

    def make(session: Session) -> str:
        row = find_or_create(session)
        last = next(
            (job for job in jobs.of_dataset(session, JobKind.IMPORT, row.id) if ImportRequest.of(job).sample), None
        )
        if last and last.status not in AGAIN:
            return last.id
        check_room(session, services, JobKind.IMPORT, caller)
        request = ImportRequest(dataset=row.id, sample=True)
        queued.append(create(session, services, caller, JobKind.IMPORT, request, unit="files", dataset_id=row.id).id)
        return queued[-1]

    made = Once(None).make(services, "", make)
    if queued:
        services.notifier.notify(Queue.INTAKE)
    return made, bool(queued)


def find_or_create(session: Session) -> Dataset:
    try:
        row = datasets.find(session, NAME)
    except NotFound:
        return datasets.create(session, NAME, DESCRIPTION)
    datasets.lock(session, row.id)  # of two who ask at once the second finds the first one's job
    return row
