"""What can go wrong: the call, or the job behind it.

APIError                        the call failed
├── APIConnectionError          no response
│   └── APITimeoutError         no response in time
└── APIStatusError              an error response: status_code, code, detail, hint, request_id, problem
    ├── BadRequestError 400, AuthenticationError 401, PermissionDeniedError 403, NotFoundError 404
    ├── ConflictError 409, GoneError 410, UnprocessableEntityError 422, RateLimitError 429
    └── InternalServerError     500 and above
JobError                        the calls succeeded, the job did not: job
├── JobFailedError, JobCancelledError, JobExpiredError
└── WaitTimeout                 the job goes on, only the wait is over
"""

from typing import Final

from tsukiji import types


class APIError(Exception):
    """A call to the service failed."""


class APIConnectionError(APIError):
    """The service is unreachable, or the connection broke."""


class APITimeoutError(APIConnectionError):
    """The service did not respond in time."""


class APIResponseError(APIError):
    """The service's answer is no such record as this client knows: their versions differ."""


class APIStatusError(APIError):
    """An error response. `problem` is its body (RFC 9457)."""

    def __init__(self, status_code: int, problem: types.Problem) -> None:
        super().__init__(problem.detail or problem.title)
        self.status_code = status_code
        self.problem = problem
        self.code = problem.code
        self.detail = problem.detail or problem.title
        self.hint = problem.hint
        self.request_id = problem.request_id

    def __str__(self) -> str:
        hint = f" {self.hint}" if self.hint else ""
        return f"{self.status_code} {self.code}: {self.detail}{hint}"


class BadRequestError(APIStatusError):
    pass


class AuthenticationError(APIStatusError):
    pass


class PermissionDeniedError(APIStatusError):
    pass


class NotFoundError(APIStatusError):
    pass


class ConflictError(APIStatusError):
    pass


class GoneError(APIStatusError):
    """It existed, and was deleted: the results of a batch."""


class UnprocessableEntityError(APIStatusError):
    pass


class RateLimitError(APIStatusError):
    pass


class InternalServerError(APIStatusError):
    pass


ENDED: Final = {"failed": "failed", "cancelled": "was cancelled", "expired": "exceeded its deadline"}


class JobError(Exception):
    """A job did not succeed; `job` is its last known record."""

    def __init__(self, job: types.Job) -> None:
        self.job = job
        super().__init__(self.describe())

    def describe(self) -> str:
        error = self.job.error
        reason = f": {error.code}: {error.detail or error.title}" if error else ""
        what = ENDED.get(self.job.status, f"is {self.job.status}")
        return f"{self.job.object} {self.job.id} {what}{reason}"


class JobFailedError(JobError):
    """The job failed; see `job.error`."""


class JobCancelledError(JobError):
    """The job was cancelled."""


class JobExpiredError(JobError):
    """The job ran past its deadline."""


class WaitTimeout(JobError):
    """The wait is over; the job itself goes on."""
