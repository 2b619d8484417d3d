"""Tsukiji sorts pictures: train a classifier on folders of images, then label images by the thousand."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tsukiji.client import (
        AnalysisJob,
        APIConnectionError,
        APIError,
        APIResponseError,
        APIStatusError,
        APITimeoutError,
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
        AuthenticationError,
        BadRequestError,
        Batch,
        Client,
        ConflictError,
        Dataset,
        Evaluation,
        EvaluationJob,
        GoneError,
        Import,
        InternalServerError,
        Job,
        JobCancelledError,
        JobError,
        JobExpiredError,
        JobFailedError,
        Model,
        NotFoundError,
        Paged,
        PermissionDeniedError,
        RateLimitError,
        Snapshot,
        SuggestionJob,
        Training,
        UnprocessableEntityError,
        WaitTimeout,
    )

__version__ = "0.1.0"
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
    "__version__",
]


def __getattr__(name: str) -> Any:
    # The service's own processes import this package too; only who asks for the client pays for it (PEP 562).
    if name in __all__:
        from tsukiji import client  # noqa: PLC0415 - see the line above

        return getattr(client, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
