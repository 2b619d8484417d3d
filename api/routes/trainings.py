"""Trainings: a data set and a recipe become a model."""

from fastapi import Request
from starlette.responses import Response

from api.http.access import needs
from api.http.dependencies import Caller, Reading, ServicesDep, Transaction
from api.http.idempotency import OnceDep
from api.http.job_responses import answer_poll, answer_start
from api.http.paging import OfDataset, PagingDep
from api.http.routing import Router
from api.http.waiting import Prefer
from api.serialize import job_records
from api.submit.trainings import start_training
from db.curation import datasets
from db.jobs import jobs
from tsukiji.jobs import JobKind
from tsukiji.types import EpochMetrics, Job, Page, TrainingCreate

router = Router(prefix="/trainings", tags=["trainings"])


@router.post("", status_code=202, response_model=Job)
@needs("train")
def create_training(body: TrainingCreate, services: ServicesDep, caller: Caller, once: OnceDep) -> Response:
    """Start a training on all labelled images of a data set; the data set is frozen into a snapshot first."""
    return answer_start(services, start_training(services, caller, once, body))


@router.get("")
@needs("read")
def list_trainings(session: Reading, paging: PagingDep, dataset: OfDataset = None) -> Page[Job]:
    """List the trainings, newest first."""
    window = paging.window(dataset)
    dataset_id = None if dataset is None else datasets.find(session, dataset).id
    return paging.answer(jobs.page(session, window, JobKind.TRAINING, dataset_id=dataset_id), job_records.job)


@router.get("/{training}", response_model=Job)
@needs("read")
async def get_training(training: str, request: Request, services: ServicesDep, _prefer: Prefer = None) -> Response:
    """Poll a training."""
    return await answer_poll(request, services, training, JobKind.TRAINING)


@router.get("/{training}/metrics")
@needs("read")
def list_metrics(training: str, session: Reading) -> Page[EpochMetrics]:
    """List the finished epochs, all on one page."""
    job = jobs.find(session, training, JobKind.TRAINING)
    return Page(data=[EpochMetrics.model_validate(epoch) for epoch in jobs.metrics(session, job.id)])


@router.post("/{training}/finish")
@needs("train")
def finish_training(training: str, session: Transaction, caller: Caller) -> Job:
    """Finish now and keep the best model so far. To keep nothing, cancel the job."""
    job = jobs.find(session, training, JobKind.TRAINING)
    return job_records.job(jobs.request_finish(session, job.id, by=caller.id))
