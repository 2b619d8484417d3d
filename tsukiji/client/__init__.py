"""The Python client of a Tsukiji service, over HTTP. Knows nothing of the service's internals."""

from tsukiji.client._analyses import AnalysisJob
from tsukiji.client._batches import Batch
from tsukiji.client._client import Client
from tsukiji.client._datasets import Dataset
from tsukiji.client._evaluations import Evaluation, EvaluationJob
from tsukiji.client._exceptions import (
    APIConnectionError,
    APIError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    GoneError,
    InternalServerError,
    JobCancelledError,
    JobError,
    JobExpiredError,
    JobFailedError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    UnprocessableEntityError,
    WaitTimeout,
)
from tsukiji.client._imports import Import
from tsukiji.client._job import Job
from tsukiji.client._models import Model
from tsukiji.client._pages import Paged
from tsukiji.client._snapshots import Snapshot
from tsukiji.client._suggestions import SuggestionJob
from tsukiji.client._trainings import Training

__all__ = [
    "APIConnectionError",
    "APIError",
    "APIStatusError",
    "APITimeoutError",
    "AnalysisJob",
    "AuthenticationError",
    "BadRequestError",
    "Batch",
    "Client",
    "ConflictError",
    "Dataset",
    "Evaluation",
    "EvaluationJob",
    "GoneError",
    "Import",
    "InternalServerError",
    "Job",
    "JobCancelledError",
    "JobError",
    "JobExpiredError",
    "JobFailedError",
    "Model",
    "NotFoundError",
    "Paged",
    "PermissionDeniedError",
    "RateLimitError",
    "Snapshot",
    "SuggestionJob",
    "Training",
    "UnprocessableEntityError",
    "WaitTimeout",
]
