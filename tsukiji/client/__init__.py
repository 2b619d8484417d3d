"""The Python client of a Tsukiji service, over HTTP. Knows nothing of the service's internals."""

from typing import TYPE_CHECKING, Any

from tsukiji.client._exceptions import (
    APIConnectionError,
    APIError,
    APIResponseError,
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
from tsukiji.client._sync._analyses import AnalysisJob
from tsukiji.client._sync._batches import Batch
from tsukiji.client._sync._client import Client
from tsukiji.client._sync._datasets import Dataset
from tsukiji.client._sync._evaluations import Evaluation, EvaluationJob
from tsukiji.client._sync._imports import Import
from tsukiji.client._sync._job import Job
from tsukiji.client._sync._models import Model
from tsukiji.client._sync._pages import Paged
from tsukiji.client._sync._snapshots import Snapshot
from tsukiji.client._sync._suggestions import SuggestionJob
from tsukiji.client._sync._trainings import Training

if TYPE_CHECKING:
    from tsukiji.client._async import (
        AsyncAnalysisJob,
        AsyncBatch,
        AsyncClient,
        AsyncDataset,
        AsyncEvaluation,
        AsyncEvaluationJob,
        AsyncImport,
        AsyncJob,
        AsyncModel,
        AsyncPaged,
        AsyncSnapshot,
        AsyncSuggestionJob,
        AsyncTraining,
    )

__all__ = [
    "APIConnectionError",
    "APIError",
    "APIResponseError",
    "APIStatusError",
    "APITimeoutError",
    "AnalysisJob",
    "AsyncAnalysisJob",
    "AsyncBatch",
    "AsyncClient",
    "AsyncDataset",
    "AsyncEvaluation",
    "AsyncEvaluationJob",
    "AsyncImport",
    "AsyncJob",
    "AsyncModel",
    "AsyncPaged",
    "AsyncSnapshot",
    "AsyncSuggestionJob",
    "AsyncTraining",
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


def __getattr__(name: str) -> Any:
    # Building the classes of both takes its time: a synchronous program does not wait for the others (PEP 562).
    if name.startswith("Async") and name in __all__:
        from tsukiji.client import _async  # noqa: PLC0415 - see the line above

        return getattr(_async, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
