"""Errors of requests in general."""

from tsukiji.errors.base import TsukijiError


class Unauthorized(TsukijiError):
    code = "unauthorized"
    title = "An API key is required"
    hint = (
        "Create a key with `tsukiji keys create --name NAME` where the service runs. Send it as `Authorization: Bearer "
        "KEY`; the command line and the client read it from TSUKIJI_API_KEY."
    )


class Forbidden(TsukijiError):
    code = "forbidden"
    title = "Not allowed"
    hint = "Send the key as a Bearer token; a page on another site cannot use your cookie."


class ScopeMissing(Forbidden):
    code = "scope_missing"
    title = "The key may not do this"
    hint = (
        "Someone whose key may `admin` can create one that may: `tsukiji keys create --name NAME --scope SCOPE`, or on "
        "the page."
    )


class KeyBound(Forbidden):
    code = "key_bound"
    title = "A key that is bound to data sets or models may not do this"
    hint = "Use a key that is not bound; `GET /v1/keys/self` shows what this one is bound to."


class DefaultProjectNeeded(Forbidden):
    code = "default_project_needed"
    title = "Only keys of the default project may do this"
    hint = "It concerns the whole service."


class NotFound(TsukijiError):
    code = "not_found"
    title = "Not found"
    hint = "Check the id; lists show what exists."


class Conflict(TsukijiError):
    code = "conflict"
    title = "This conflicts with what exists"
    hint = "Choose another name, or change what exists first."


class Invalid(TsukijiError):
    code = "invalid_request"
    title = "The request is invalid"
    hint = "Correct the request and send it again."


class IdempotencyKeyReused(Invalid):
    code = "idempotency_key_reused"
    title = "This Idempotency-Key was used for another request"
    hint = "Use a new key for each new request."


class UnsupportedMediaType(TsukijiError):
    code = "unsupported_media_type"
    title = "Unsupported content type"
    hint = "Send one of the types listed."


class TooLarge(TsukijiError):
    code = "too_large"
    title = "The request is too large"
    hint = "GET /v1/limits shows the limits; send fewer or smaller files, or an archive."


class RateLimited(TsukijiError):
    code = "rate_limited"
    title = "Too many requests"
    hint = "Wait as long as `Retry-After` says; the `RateLimit` header says how many requests are left."
    retriable = True


class QuotaExceeded(TsukijiError):
    code = "quota_exceeded"
    title = "More pictures than allowed in a day"
    hint = "Days begin at midnight UTC, as `Retry-After` says. An administrator can raise the quota."
    retriable = True


class StorageQuotaExceeded(TooLarge):
    code = "storage_quota_exceeded"
    title = "More bytes than the project may store"
    hint = (
        "Delete data sets, models, results or uploads that are no longer needed; an administrator can raise the quota."
    )


class ProjectNotEmpty(Conflict):
    code = "project_not_empty"
    title = "The project is not empty"
    hint = "With its name as `confirm`, all that is in it is deleted."


class QueueFull(TsukijiError):
    code = "queue_full"
    title = "Too many jobs are waiting"
    hint = "Wait for some to finish, or cancel some."
    retriable = True
