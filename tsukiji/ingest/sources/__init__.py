"""Allowed sources of pictures: folders of the server, prefixes in S3, and web hosts."""

from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from tsukiji.errors import Invalid, SourceNotAllowed
from tsukiji.ingest.sources.folder import FolderSource
from tsukiji.ingest.sources.source import Source
from tsukiji.ingest.sources.web import SCHEMES, Web
from tsukiji.kernel.settings import Settings

__all__ = ["Source", "Sources", "Web", "find_allowed", "join_url"]

UP = ".."


class Sources:
    """Sources allowed by `TSUKIJI_SOURCES_ALLOWED` and `TSUKIJI_SOURCES_HOSTS`. S3 settings are the store's."""

    def __init__(self, settings: Settings, web: Web | None = None) -> None:
        self._settings = settings
        self._allowed = settings.sources.allowed
        self._web = web or Web(settings.sources.hosts, settings.sources.url_seconds)

    def web_only(self) -> "Sources":
        """Return the sources without folders and prefixes."""
        sources = Sources(self._settings, self._web)
        sources._allowed = []
        return sources

    def open(self, url: str) -> Source:
        """Return the folder, file, prefix, object or web address at `url`; nothing is read yet.

        Raises:
            SourceNotAllowed: no allowed source contains it.
        """
        if url.partition("://")[0].lower() in SCHEMES:
            return self._web.open(url)
        root = find_allowed(url, self._allowed)
        scheme, place = split(url)
        if scheme == "file":
            _, allowed = split(root)
            return FolderSource(Path(allowed), tuple(parts(place)[len(parts(allowed)) :]))
        bucket, _, key = place.partition("/")
        source: Source = self._s3.BucketSource(self._client, bucket, key.rstrip("/"))
        return source

    @cached_property
    def _s3(self) -> ModuleType:
        try:
            from tsukiji.ingest.sources import bucket  # noqa: PLC0415 - boto3 is an optional extra, and slow to import
        except ModuleNotFoundError as error:
            raise Invalid("S3 needs boto3.", hint="In the checkout: pip install '.[s3]'.") from error
        return bucket

    @cached_property
    def _client(self) -> Any:
        return self._s3.connect(self._settings.storage.endpoint_url)


def find_allowed(url: str, allowed: list[str]) -> str:
    """Return the allowed URL that contains `url`. URLs are taken literally, without percent-encoding.

    Raises:
        SourceNotAllowed: there is none, or the URL contains `..`.
    """
    if "\0" not in url and UP not in url.split("/"):
        for root in allowed:
            if is_below(url, root):
                return root
    raise SourceNotAllowed(f"{url[:200]!r} is not in an allowed folder or prefix.")


def join_url(root: str, place: str) -> str:
    """Return the URL of a file below a folder or prefix."""
    return f"{root.rstrip('/')}/{place}"


def is_below(url: str, root: str) -> bool:
    (scheme, place), (allowed_scheme, allowed) = split(url), split(root)
    if scheme != allowed_scheme:
        return False
    if scheme == "file":
        return place.startswith("/") and parts(place)[: len(parts(allowed))] == parts(allowed)
    return f"{place}/".startswith(f"{allowed.rstrip('/')}/")  # object keys are literal


def split(url: str) -> tuple[str, str]:
    scheme, _, place = url.partition("://")
    return scheme, place


def parts(place: str) -> list[str]:
    return [part for part in place.split("/") if part not in {"", "."}]
