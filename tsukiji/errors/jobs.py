"""Errors of jobs and workers."""

from tsukiji.errors.base import TsukijiError
from tsukiji.errors.requests import Conflict, Invalid


class BatchEmpty(Invalid):
    code = "batch_empty"
    title = "The batch contains no images"
    hint = "Check the archive, or the data set and its split."


class BatchTooLarge(Invalid):
    code = "batch_too_large"
    title = "The batch contains more images than allowed"
    hint = "Split it; GET /v1/limits shows the limit."


class NoImageSucceeded(TsukijiError):
    code = "no_image_succeeded"
    title = "None of the images could be classified"
    hint = "The items show the reason for each image."


class WorkerLost(TsukijiError):
    code = "worker_lost"
    title = "The worker died every time it ran this work"
    hint = (
        "Check the workers' logs. The cause is often a lack of memory, or a single picture: halve the batch to find it."
    )


class WorkStalled(TsukijiError):
    code = "stalled"
    title = "The work made no progress for too long"
    hint = "If it is only slow, raise TSUKIJI_JOBS_STALL_SECONDS; otherwise check the worker's log."
    retriable = True


class DeadlineExceeded(TsukijiError):
    code = "deadline_exceeded"
    title = "The work was not finished by its deadline"
    hint = "Finished results are kept. Run it again with a later deadline (deadline_seconds) or more workers."


class JobNotDone(Conflict):
    code = "job_not_done"
    title = "The job has not finished"
    hint = "Cancel it or wait until it finishes, then delete it."


class JobNotRunning(Conflict):
    code = "job_not_running"
    title = "No program runs this job any more"
    hint = "It ended, or was not heard of for too long. Start another batch."


class ClusterFailed(TsukijiError):
    code = "cluster_failed"
    title = "The program on the cluster ended with an error"
    hint = "Its output says more. What it reported before is kept."


class ResultsDeleted(TsukijiError):
    code = "results_deleted"
    title = "The results were deleted"
    hint = "The job keeps its counts and history. Run it again for new results."


class WorkerUnreachable(Conflict):
    code = "worker_unreachable"
    title = "No inference worker answered"
    hint = (
        "Try again in some seconds: the features of a large data set are read first. `tsukiji doctor` shows whether a "
        "worker is there, and TSUKIJI_INFERENCE_LANE_HOST must be an address of it that the API reaches."
    )
    retriable = True


class InternalError(TsukijiError):
    code = "internal"
    hint = "Search the logs for this job's or request's id."
