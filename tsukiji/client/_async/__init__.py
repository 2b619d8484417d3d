"""The asynchronous client: the source of both. `python -m devtools.sync_client` derives `_sync` from it."""

from tsukiji.client._async._analyses import AsyncAnalysisJob
from tsukiji.client._async._batches import AsyncBatch
from tsukiji.client._async._client import AsyncClient
from tsukiji.client._async._datasets import AsyncDataset
from tsukiji.client._async._evaluations import AsyncEvaluation, AsyncEvaluationJob
from tsukiji.client._async._imports import AsyncImport
from tsukiji.client._async._job import AsyncJob
from tsukiji.client._async._models import AsyncModel
from tsukiji.client._async._pages import AsyncPaged
from tsukiji.client._async._snapshots import AsyncSnapshot
from tsukiji.client._async._suggestions import AsyncSuggestionJob
from tsukiji.client._async._trainings import AsyncTraining

__all__ = [
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
]
