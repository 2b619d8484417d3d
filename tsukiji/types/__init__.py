"""The words on the wire: what `/v1` takes and answers, shared by the service and its client.

Answers are read with unknown fields kept, so that an older client goes on working; requests refuse unknown fields, so
that a misspelt one is not silently without effect. Times are RFC 3339 in UTC.
"""

from tsukiji.types.analyses import Analysis, AnalysisCreate, Finding, FindingKind, LabelBalance
from tsukiji.types.base import Answer, Label, Metadata, Name, Page, Problem, Request, Split
from tsukiji.types.batches import (
    BatchCreate,
    BatchInput,
    BatchOptions,
    BatchSummary,
    ErrorSummary,
    ImageInfo,
    LabelSummary,
    ManifestLine,
    Prediction,
    Score,
)
from tsukiji.types.datasets import ClassCount, Dataset, DatasetCreate, FileVerdict, Image, ImportCreate, UploadResult
from tsukiji.types.evaluations import (
    ClassMetrics,
    ComparedClass,
    ComparedImage,
    Comparison,
    Evaluation,
    EvaluationCreate,
    EvaluationItem,
    LabelSuspect,
    Leakage,
    Metrics,
    UnknownMetrics,
)
from tsukiji.types.jobs import ItemCounts, Job, JobEvent, Progress
from tsukiji.types.models import Alias, AliasMove, AliasPut, ExportCreate, ExportFormat, Model, ModelExport
from tsukiji.types.service import Info, WorkerInfo
from tsukiji.types.trainings import Backbone, BackboneWeights, EpochMetrics, Preset, Recipe, TrainingCreate
from tsukiji.types.uploads import Sha256, Upload, UploadCreate, UploadPart

__all__ = [
    "Alias",
    "AliasMove",
    "AliasPut",
    "Analysis",
    "AnalysisCreate",
    "Answer",
    "Backbone",
    "BackboneWeights",
    "BatchCreate",
    "BatchInput",
    "BatchOptions",
    "BatchSummary",
    "ClassCount",
    "ClassMetrics",
    "ComparedClass",
    "ComparedImage",
    "Comparison",
    "Dataset",
    "DatasetCreate",
    "EpochMetrics",
    "ErrorSummary",
    "Evaluation",
    "EvaluationCreate",
    "EvaluationItem",
    "ExportCreate",
    "ExportFormat",
    "FileVerdict",
    "Finding",
    "FindingKind",
    "Image",
    "ImageInfo",
    "ImportCreate",
    "Info",
    "ItemCounts",
    "Job",
    "JobEvent",
    "Label",
    "LabelBalance",
    "LabelSummary",
    "LabelSuspect",
    "Leakage",
    "ManifestLine",
    "Metadata",
    "Metrics",
    "Model",
    "ModelExport",
    "Name",
    "Page",
    "Prediction",
    "Preset",
    "Problem",
    "Progress",
    "Recipe",
    "Request",
    "Score",
    "Sha256",
    "Split",
    "TrainingCreate",
    "UnknownMetrics",
    "Upload",
    "UploadCreate",
    "UploadPart",
    "UploadResult",
    "WorkerInfo",
]
